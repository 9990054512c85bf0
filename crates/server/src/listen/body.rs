//! Bodies under watch: a request body that must keep arriving, and an answer that keeps its request in flight.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::peer::BodyTooSlow;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Flight;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What every body may take before its average counts: a lost packet costs a retransmission or two.
const GRACE: Duration = Duration::from_secs(5);

/// A request body that ends in [`BodyTooSlow`] when it takes longer in total, or arrives slower, than allowed.
pub(super) struct TimedBody<B> {
    inner: B,
    started: Instant,
    total: Duration,
    bytes_per_second: u32,
    received: u64,
    sleep: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl<B> TimedBody<B> {
    /// Times a body from now on.
    pub(super) fn new(inner: B, total: Duration, bytes_per_second: u32) -> Self {
        let started = Instant::now();
        Self { inner, started, total, bytes_per_second, received: 0, sleep: None, is_over: false }
    }

    /// By when the next byte must be here: the grace and the time that the bytes so far may have taken, or the total.
    fn deadline(&self) -> Instant {
        let earned = self.received.checked_div(u64::from(self.bytes_per_second)).unwrap_or(u64::MAX);
        let allowed = GRACE.saturating_add(Duration::from_secs(earned)).min(self.total);
        self.started.checked_add(allowed).unwrap_or(self.started)
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.received = this.received.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            }
            return Poll::Ready(frame.map(|result| result.map_err(Into::into)));
        }
        let deadline = this.deadline();
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        this.is_over = true;
        Poll::Ready(Some(Err(Box::new(BodyTooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer; the request counts as in flight until it is dropped.
pub(super) struct Answer {
    inner: axum::body::Body,
    flight: Flight,
}

impl Answer {
    /// Ties an answer to its request.
    pub(super) fn new(inner: axum::body::Body, mut flight: Flight) -> Self {
        flight.answered();
        Self { inner, flight }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(_)) => self.flight.pushed(),
            Poll::Ready(None) | Poll::Pending => self.flight.taken(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    use super::*;

    /// A body fed by a channel.
    struct Fed(mpsc::Receiver<Bytes>);

    impl Body for Fed {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.poll_recv(cx).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
        }
    }

    /// Sends `size` bytes every `every`, and says after how long the body ended and whether it was too slow.
    async fn outcome(size: usize, every: Duration, count: usize) -> (Duration, bool) {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = TimedBody::new(Fed(receiver), Duration::from_secs(10), 1024);
        tokio::spawn(async move {
            for _ in 0..count {
                tokio::time::sleep(every).await;
                if sender.send(Bytes::from(vec![b'x'; size])).await.is_err() {
                    return;
                }
            }
        });
        let started = Instant::now();
        while let Some(frame) = body.frame().await {
            if let Err(error) = frame {
                return (started.elapsed(), error.is::<BodyTooSlow>());
            }
        }
        (started.elapsed(), false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_come_at_a_kibibyte_per_second_and_end_within_ten_seconds() {
        let second = Duration::from_secs(1);
        assert_eq!(outcome(1, second, 1000).await, (second * 5, true), "one byte per second");
        assert_eq!(outcome(2048, second, 1000).await, (second * 10, true), "fast enough, but endless");
        assert_eq!(outcome(100, second * 4, 1).await, (second * 4, false), "small and late");
        assert_eq!(outcome(1024, second, 9).await, (second * 9, false), "exactly at the rate");
    }
}
