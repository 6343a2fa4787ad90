use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio_stream::StreamExt;
use tonic::Code;

use super::*;
use crate::access::Scope;
use crate::context::RequestId;
use crate::identity::Caller;
use crate::ids::CountingIds;

/// How long a call of these tests may go on.
const LONGEST: Duration = Duration::from_mins(10);

/// A request as the gate hands it over, and the places it is one of.
fn request() -> (Request<()>, Arc<Semaphore>) {
    let places = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&places).try_acquire_owned().unwrap();
    let mut request = Request::new(());
    request.extensions_mut().insert(Stay {
        permit: Arc::new(permit),
        tasks: TaskTracker::new(),
    });
    request.extensions_mut().insert(CallContext {
        caller: Arc::new(Caller {
            subject: "someone".into(),
            issuer: "issuer".into(),
            organization: None,
            roles: Vec::new(),
        }),
        scope: Scope::default(),
        request_id: RequestId::generate(&CountingIds::default()),
        peer: None,
        deadline: Instant::now() + LONGEST,
    });
    (request, places)
}

/// What the reader gets: messages, and the code of the failure at the end, if there is one.
async fn read(stream: Streamed<u32>) -> (Vec<u32>, Option<Code>) {
    let mut messages = Vec::new();
    let mut stream = stream;
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => messages.push(message),
            Err(status) => {
                assert!(stream.next().await.is_none(), "the failure is the end");
                return (messages, Some(status.code()));
            }
        }
    }
    (messages, None)
}

#[tokio::test]
async fn all_messages_come_in_order_and_the_place_is_kept_until_the_work_ends() {
    let (request, places) = request();
    let (go_on, gone_on) = oneshot::channel();
    let work = |outlet: Outlet<u32>| async move {
        for number in 0..20 {
            outlet.send(number).await?;
        }
        drop(outlet);
        gone_on.await.map_err(ApiError::internal)
    };
    let mut stream = streamed(&request, work).unwrap();
    drop(request);
    for number in 0..20 {
        assert_eq!(stream.next().await.unwrap().unwrap(), number);
    }
    assert_eq!(places.available_permits(), 0, "the work goes on");
    go_on.send(()).unwrap();
    assert!(stream.next().await.is_none());
    let _free = places.acquire().await.unwrap();
}

#[tokio::test]
async fn a_failure_or_a_panic_is_the_end_of_what_came_before() {
    let fails = |outlet: Outlet<u32>| async move {
        outlet.send(1).await?;
        Err(ApiError::conflict())
    };
    let stream = streamed(&request().0, fails).unwrap();
    assert_eq!(read(stream).await, (vec![1], Some(Code::Aborted)));
    let panics = |outlet: Outlet<u32>| async move {
        outlet.send(1).await?;
        panic!("hunter2")
    };
    let stream = streamed(&request().0, panics).unwrap();
    assert_eq!(read(stream).await, (vec![1], Some(Code::Internal)));
}

#[tokio::test(start_paused = true)]
async fn who_reads_too_slowly_is_told_that_the_answer_is_not_whole() {
    let (request, places) = request();
    let endless = |outlet: Outlet<u32>| async move {
        for number in 0.. {
            outlet.send(number).await?;
        }
        Ok(())
    };
    let stream = streamed(&request, endless).unwrap();
    drop(request);
    // Nothing is read, and the place is free all the same once the deadline has passed.
    let _free = places.acquire().await.unwrap();
    let (messages, end) = read(stream).await;
    assert!(messages.len() <= MESSAGES_AHEAD + 1, "{messages:?}");
    assert_eq!(end, Some(Code::DeadlineExceeded));
}

#[tokio::test]
async fn whoever_makes_messages_hears_that_nobody_reads_them() {
    let (request, places) = request();
    let (told, hears) = oneshot::channel();
    let work = |outlet: Outlet<u32>| async move {
        loop {
            if let Err(why) = outlet.send(1).await {
                let _ = told.send(why);
                return Err(why.into());
            }
        }
    };
    let mut stream = streamed(&request, work).unwrap();
    drop(request);
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert_eq!(hears.await.unwrap(), NotTaken::Gone);
    let _free = places.acquire().await.unwrap();
}

#[tokio::test]
async fn a_request_from_elsewhere_has_no_place() {
    let work = |_: Outlet<u32>| async { Ok(()) };
    let refused = streamed(&Request::new(()), work).unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
}
