//! One request on its way to the target, and its answer on the way back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::answer::{Body, half, trickling, whole};
use super::{Fate, NetworkFault, REPEATED_FROM, Reset, Shared, fate, lock};
use crate::environment::{Instant, within};
use crate::history::{Handle, What};
use crate::target::{Client, Outcome};
use crate::workload::{UnderWay, may_be_repeated};

/// How often the proxy looks whether a client is still cut off.
const CUT_OFF_STEP: Duration = Duration::from_millis(20);

/// How long the target has for reading half a request before its connection is reset.
const RESET_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn exchange(
    (mut request, came_at): (Request<Bytes>, Instant),
    shared: &Arc<Shared>,
) -> Result<Response<Body>, Reset> {
    let (client, number) = shared.number(&request);
    // Whatever it asks for, it asks for now: later it may be doing something else.
    let under_way = shared.setting.board.under_way(client);
    let in_force = lock(&shared.in_force).clone();
    let fate = fate(shared.setting.seed, &in_force, (client, number));
    // The target's own name, and a connection of its own.
    request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::CONNECTION);
    let until = came_at.plus(shared.setting.held_at_most);
    let strikes = Strikes {
        shared,
        fate,
        client,
        number,
    };
    strikes.on_the_way_there(&request).await?;
    let upstream = Arc::clone(&lock(&shared.upstream));
    if let Some(under_way) = under_way
        && strikes.force(NetworkFault::DuplicateRequests).is_some()
        && may_be_repeated(&under_way, &request)
    {
        strikes.note(NetworkFault::DuplicateRequests);
        strikes.send_once_more((&request, until), under_way).await;
    }
    let outcome = upstream.send_until(until, request).await;
    strikes.on_the_way_back(outcome).await
}

struct Strikes<'a> {
    shared: &'a Arc<Shared>,
    fate: Fate,
    client: u64,
    number: u64,
}

impl Strikes<'_> {
    /// How hard `fault` strikes, if it does.
    fn force(&self, fault: NetworkFault) -> Option<f64> {
        let mut struck = self.fate.values();
        struck
            .find(|(struck, _)| *struck == fault)
            .map(|(_, force)| *force)
    }

    fn cut_off_by(&self) -> Option<usize> {
        let mut struck = self.fate.iter();
        struck
            .find(|(_, (fault, _))| *fault == NetworkFault::CutOff)
            .map(|(index, _)| *index)
    }

    /// A strike lasts a moment: it is injected and healed at once.
    fn note(&self, fault: NetworkFault) {
        self.shared.struck.fetch_add(1, Ordering::Relaxed);
        let (client, number) = (self.client, self.number);
        let spares = fault.spares();
        let fault = format!("{} process {client} request {number}{spares}", fault.word());
        let (world, recorder) = (&self.shared.setting.world, &self.shared.setting.recorder);
        recorder.add(
            world,
            What::Inject {
                fault: fault.clone(),
            },
        );
        recorder.add(world, What::Heal { fault });
    }

    async fn sleep(&self, span: Duration) {
        self.shared.setting.world.sleep(span).await;
    }

    /// Nothing, for longer than anybody waits.
    async fn silence(&self) -> Reset {
        self.sleep(self.shared.setting.patience * 2).await;
        Reset
    }

    async fn on_the_way_there(&self, request: &Request<Bytes>) -> Result<(), Reset> {
        if let Some(fault) = self.cut_off_by() {
            self.note(NetworkFault::CutOff);
            while lock(&self.shared.in_force).contains_key(&fault) {
                self.sleep(CUT_OFF_STEP).await;
            }
        }
        if let Some(force) = self.force(NetworkFault::DelayRequests) {
            self.note(NetworkFault::DelayRequests);
            // Now and then for longer than a client waits.
            let span = self.shared.setting.patience.mul_f64(force * force * 1.2);
            self.sleep(span).await;
        }
        if self.force(NetworkFault::DropRequests).is_some() {
            self.note(NetworkFault::DropRequests);
            return Err(self.silence().await);
        }
        if self.force(NetworkFault::ResetRequests).is_some() {
            self.note(NetworkFault::ResetRequests);
            let upstream = Arc::clone(&lock(&self.shared.upstream));
            let (world, patience) = (&*self.shared.setting.world, self.shared.setting.patience);
            // That the target is gone makes no difference to a request that never arrives.
            drop(within(world, patience, send_half(&upstream, request)).await);
            return Err(Reset);
        }
        Ok(())
    }

    /// Sends `request` for the first of two times. In the history that is a process of its own, of which
    /// nobody knows what it was told: its answer goes to nobody.
    async fn send_once_more(
        &self,
        (request, until): (&Request<Bytes>, Instant),
        under_way: UnderWay,
    ) {
        let UnderWay {
            project, operation, ..
        } = under_way;
        let setting = &self.shared.setting;
        let number = self.shared.repeated.fetch_add(1, Ordering::Relaxed);
        let recorder = Arc::clone(&setting.recorder);
        let pen = Handle::new(recorder, REPEATED_FROM + number).in_project(&project);
        pen.invoke(&setting.world, operation);
        let upstream = Arc::clone(&lock(&self.shared.upstream));
        drop(upstream.send_until(until, request.clone()).await);
        let why = format!("the first answer to process {} went to nobody", self.client);
        pen.unclear(&setting.world, why);
    }

    async fn on_the_way_back(&self, outcome: Outcome) -> Result<Response<Body>, Reset> {
        // Whether it was not sent or not answered, the client sees a connection that breaks: it has sent
        // its request to the proxy, and cannot know more.
        let answer = outcome.map_err(|_| Reset)?;
        let setting = &self.shared.setting;
        if self.force(NetworkFault::DropAnswers).is_some() {
            self.note(NetworkFault::DropAnswers);
            return Err(self.silence().await);
        }
        if self.force(NetworkFault::ResetAnswers).is_some() {
            self.note(NetworkFault::ResetAnswers);
            let world = Arc::clone(&setting.world);
            return half(answer, world, setting.patience / 100);
        }
        if let Some(force) = self.force(NetworkFault::SlowAnswers) {
            self.note(NetworkFault::SlowAnswers);
            let span = setting.patience.mul_f64(force * 0.5);
            return Ok(trickling(answer, Arc::clone(&setting.world), span));
        }
        Ok(whole(answer))
    }
}

/// Sends the head and the first half of the body, and resets the connection. A request without a body
/// loses the end of its head.
async fn send_half(upstream: &Client, request: &Request<Bytes>) -> std::io::Result<()> {
    let address = &upstream.endpoint().address;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_zero_linger()?;
    let stream = upstream.secure(Box::new(TokioIo::new(stream))).await;
    let mut stream = TokioIo::new(stream.map_err(std::io::Error::other)?);
    let (method, path) = (request.method(), request.uri());
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n").into_bytes();
    for (name, value) in request.headers() {
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            continue;
        }
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let body = request.body();
    if body.len() >= 2 {
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body[..body.len() / 2]);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    // A reset takes what the other side has not read yet with it.
    tokio::time::sleep(RESET_PAUSE).await;
    Ok(())
}
