//! Quantities that are held before they are used: reserve, then commit or release.
//!
//! A hold that reaches its end frees itself at that instant; no job has to run for it. Whether there is room for a new one
//! is [`crate::quota`]'s.

use kernel::clock::BusinessTime;
use kernel::decimal::Decimal;

/// Seconds that a reservation may last at most; at least one.
pub const MAX_TTL_SECONDS: i64 = 3_600;

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds its quantity until it ends.
    Held,
    /// So much of it was used, the rest freed.
    Committed(Decimal),
    /// All of it was freed.
    Released,
}

/// One reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// How much it holds.
    pub quantity: Decimal,
    /// What became of it.
    pub state: State,
    /// When it frees itself.
    pub expires_at: BusinessTime,
}

/// What a commit or a release does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The hold ends: `used` is counted.
    Now {
        /// What is counted; zero for a release.
        used: Decimal,
    },
    /// It was settled so before; the first answer holds.
    Before {
        /// What was counted then.
        used: Decimal,
    },
}

/// Why a reservation is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// It freed itself before: 409 `reservation_expired`.
    #[error("the reservation ended at {0}; reserve again")]
    Expired(BusinessTime),
    /// It was released before: 409 `illegal_transition`.
    #[error("the reservation was released; reserve again")]
    Released,
    /// It was committed before: 409 `illegal_transition`.
    #[error("the reservation was committed with a quantity of {0}")]
    Committed(Decimal),
    /// More than it holds, or less than nothing: 422.
    #[error("the quantity must lie between 0 and the {0} that are reserved")]
    Quantity(Decimal),
}

impl Reservation {
    /// What it holds at an instant: its quantity while it is held and has not ended.
    pub fn held(&self, now: BusinessTime) -> Decimal {
        if self.state == State::Held && now < self.expires_at { self.quantity } else { Decimal::ZERO }
    }

    /// Counts a part of what is held and frees the rest.
    ///
    /// # Errors
    /// [`ReservationError::Expired`], [`ReservationError::Released`] or [`ReservationError::Quantity`].
    pub fn commit(&self, quantity: Decimal, now: BusinessTime) -> Result<Settlement, ReservationError> {
        match self.state {
            State::Committed(used) => Ok(Settlement::Before { used }),
            State::Released => Err(ReservationError::Released),
            State::Held if now >= self.expires_at => Err(ReservationError::Expired(self.expires_at)),
            State::Held if quantity.is_negative() || quantity > self.quantity => {
                Err(ReservationError::Quantity(self.quantity))
            }
            State::Held => Ok(Settlement::Now { used: quantity }),
        }
    }

    /// Frees all that is held. What freed itself before counts as released.
    ///
    /// # Errors
    /// [`ReservationError::Committed`].
    pub fn release(&self) -> Result<Settlement, ReservationError> {
        match self.state {
            State::Committed(used) => Err(ReservationError::Committed(used)),
            State::Released => Ok(Settlement::Before { used: Decimal::ZERO }),
            State::Held => Ok(Settlement::Now { used: Decimal::ZERO }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: BusinessTime = BusinessTime::from_micros(1_000);
    const BEFORE: BusinessTime = BusinessTime::from_micros(999);

    fn reservation(state: State) -> Reservation {
        Reservation { quantity: Decimal::from(5), state, expires_at: END }
    }

    #[test]
    fn a_hold_counts_until_its_instant_and_only_while_it_is_held() {
        assert_eq!(reservation(State::Held).held(BEFORE), Decimal::from(5));
        assert_eq!(reservation(State::Held).held(END), Decimal::ZERO);
        assert_eq!(reservation(State::Released).held(BEFORE), Decimal::ZERO);
        assert_eq!(reservation(State::Committed(Decimal::ONE)).held(BEFORE), Decimal::ZERO);
    }

    #[test]
    fn a_commit_counts_up_to_what_is_held_and_once() {
        let held = reservation(State::Held);
        for whole in [0, 3, 5] {
            let used = Decimal::from(whole);
            assert_eq!(held.commit(used, BEFORE), Ok(Settlement::Now { used }));
        }
        for whole in [-1, 6] {
            let refused = held.commit(Decimal::from(whole), BEFORE);
            assert_eq!(refused, Err(ReservationError::Quantity(Decimal::from(5))));
        }
        let committed = reservation(State::Committed(Decimal::from(3)));
        let first = Ok(Settlement::Before { used: Decimal::from(3) });
        assert_eq!(committed.commit(Decimal::from(5), BEFORE), first);
        assert_eq!(committed.commit(Decimal::from(5), END), first);
    }

    #[test]
    fn what_has_ended_or_is_settled_otherwise_is_refused() {
        assert_eq!(reservation(State::Held).commit(Decimal::ONE, END), Err(ReservationError::Expired(END)));
        assert_eq!(reservation(State::Released).commit(Decimal::ONE, BEFORE), Err(ReservationError::Released));
        assert_eq!(reservation(State::Held).release(), Ok(Settlement::Now { used: Decimal::ZERO }));
        assert_eq!(reservation(State::Released).release(), Ok(Settlement::Before { used: Decimal::ZERO }));
        let committed = reservation(State::Committed(Decimal::ONE));
        assert_eq!(committed.release(), Err(ReservationError::Committed(Decimal::ONE)));
    }
}
