//! What the engine runs in: time, the fence, and what is heard.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::care::Ear;
use crate::link::standing::Standing;
use crate::link::{LinkError, Receive, Sharing, wait_any};
use crate::observe::VantageId;
use crate::scope::Fence;

/// A frame that was heard at a vantage.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    pub vantage: VantageId,
    pub at: Timestamp,
    /// When it was taken from the link, since the sweep's start: the clock that paces.
    pub now: Duration,
    /// From the Ethernet header on, cut at the capture's snap length.
    pub bytes: &'a [u8],
    /// The length on the wire.
    pub length: u32,
    /// Sent by our own kernel.
    pub outgoing: bool,
}

/// A world is a clock, a fence and an ear: the real one ([`LiveWorld`]) or one in memory.
pub trait World {
    /// The time since the sweep's start. Read once per batch.
    fn now(&mut self) -> Duration;

    fn fence(&mut self) -> &mut Fence;

    /// How the receiving side does, since it was last asked. Asked once per batch.
    fn ear(&mut self) -> Ear {
        Ear::default()
    }

    /// Hands every waiting frame to `take`, with the fence, and waits at most `patience` for the
    /// first. Says how many there were.
    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(&mut Fence, Heard<'_>),
    ) -> Result<usize, LinkError>;
}

/// The real world: links and the monotonic clock.
pub struct LiveWorld {
    fence: Fence,
    receivers: Vec<(VantageId, Box<dyn Receive>)>,
    started: Instant,
    /// Drops that were told already.
    told: u64,
    standings: Vec<Standing>,
    /// None where nobody shares the ceilings.
    sharing: Option<Sharing>,
}

impl LiveWorld {
    /// `started` is the instant that the fence's guard was told as the sweep's start.
    pub fn new(
        fence: Fence,
        receivers: Vec<(VantageId, Box<dyn Receive>)>,
        started: Instant,
    ) -> LiveWorld {
        let standings = Vec::new();
        LiveWorld { fence, receivers, started, told: 0, standings, sharing: None }
    }

    /// From now on these are verified about once a second: what they are no longer stops the sweep.
    pub fn watch_over(&mut self, standings: Vec<Standing>) {
        self.standings = standings;
    }

    /// Divides the fence's ceilings among the sweeps of these interfaces, from now on.
    pub fn share(mut self, sharing: Option<Sharing>) -> LiveWorld {
        if let Some(sharing) = &sharing {
            self.fence.share(sharing.sweeps());
        }
        self.sharing = sharing;
        self
    }

    /// The most sweeps that there were to share the ceilings.
    pub fn most_sweeps(&self) -> u32 {
        self.sharing.as_ref().map_or(1, Sharing::most)
    }

    /// Frames that the kernel threw away at each vantage because we were too slow.
    pub fn dropped(&mut self) -> Vec<(VantageId, Result<u64, LinkError>)> {
        self.receivers.iter_mut().map(|(id, receiver)| (*id, receiver.dropped())).collect()
    }
}

impl World for LiveWorld {
    fn now(&mut self) -> Duration {
        let now = self.started.elapsed();
        // Where the batch begins: no frame of it goes by a part of the ceilings that is older than a look.
        if let Some(sweeps) = self.sharing.as_mut().and_then(|sharing| sharing.look(now)) {
            self.fence.share(sweeps);
        }
        now
    }

    fn fence(&mut self) -> &mut Fence {
        &mut self.fence
    }

    fn ear(&mut self) -> Ear {
        let dropped = self.receivers.iter_mut().filter_map(|(_, link)| link.dropped().ok());
        let dropped = dropped.fold(0u64, u64::saturating_add);
        let fresh = dropped.saturating_sub(self.told);
        self.told = self.told.max(dropped);
        let fill = self.receivers.iter().map(|(_, link)| link.fill()).fold(0.0, f64::max);
        Ear { dropped: fresh, fill: fill as f32 }
    }

    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(&mut Fence, Heard<'_>),
    ) -> Result<usize, LinkError> {
        let LiveWorld { fence, receivers, started, standings, .. } = self;
        if !standings.is_empty() {
            let now = started.elapsed();
            standings.iter_mut().try_for_each(|standing| standing.verify(now))?;
        }
        let mut patience = patience;
        if receivers.len() > 1 {
            let views: Vec<&dyn Receive> = receivers.iter().map(|(_, r)| r.as_ref()).collect();
            wait_any(&views, patience)?;
            // Whatever is ready is taken without waiting.
            patience = Duration::ZERO;
        }
        let mut frames = 0;
        for (vantage, receiver) in receivers {
            // One look at the clock a batch, when its first frame is there.
            let mut now = None;
            frames += receiver.receive(patience, &mut |captured| {
                take(
                    fence,
                    Heard {
                        vantage: *vantage,
                        at: captured.at,
                        now: *now.get_or_insert_with(|| started.elapsed()),
                        bytes: captured.bytes,
                        length: captured.length,
                        outgoing: captured.outgoing,
                    },
                );
            })?;
        }
        Ok(frames)
    }
}
