//! What both formats tell of, each in its own words, and what dashboards count.

use crate::{Event, fields};

/// A kind of event with an action of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A client connected.
    Accepted,
    /// It is gone.
    Ended,
    /// It proved to be who it says.
    Authenticated,
    /// It did not.
    NotAuthenticated,
    /// It may not do what it asked for.
    NotAuthorized,
}

impl Occasion {
    /// By a message's number, which is the same in every version; by its text if there is none.
    pub fn of(id: Option<i64>, message: &str) -> Option<Self> {
        Some(match (id, message) {
            (Some(22943), _) | (None, "Connection accepted") => Self::Accepted,
            (Some(22944), _) | (None, "Connection ended") => Self::Ended,
            (Some(20250 | 20429 | 5_286_306), _)
            | (None, "Authentication succeeded" | "Successfully authenticated") => {
                Self::Authenticated
            }
            (Some(20249 | 20428 | 5_286_307), _)
            | (None, "Authentication failed" | "Failed to authenticate") => Self::NotAuthenticated,
            (Some(20436), _) | (None, "Checking authorization failed") => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// Sets category, type, action and outcome.
    pub fn set(self, event: &mut Event<'_>) {
        let action = match self {
            Self::Accepted => "connection-accepted",
            Self::Ended => "connection-ended",
            Self::Authenticated | Self::NotAuthenticated => "authentication",
            Self::NotAuthorized => "authorization",
        };
        event.set(fields::event::ACTION, action);
        match self {
            Self::Accepted => {
                event.set(fields::event::CATEGORY, &["database", "network"]);
                event.set(fields::event::TYPE, &["info", "connection", "start"]);
            }
            Self::Ended => {
                event.set(fields::event::CATEGORY, &["database", "network"]);
                event.set(fields::event::TYPE, &["info", "connection", "end"]);
            }
            Self::Authenticated | Self::NotAuthenticated => {
                event.set(fields::event::CATEGORY, &["database", "authentication"]);
            }
            Self::NotAuthorized => {}
        }
        match self {
            Self::Accepted | Self::Ended => {}
            Self::Authenticated => event.set(fields::event::OUTCOME, "success"),
            Self::NotAuthenticated | Self::NotAuthorized => {
                event.set(fields::event::OUTCOME, "failure");
            }
        }
    }
}
