//! Steps of one kind. Hardly a call has more than one, which is then no allocation.

/// Steps of one kind that are kept; the table of attempts allows fewer.
pub(super) const STEPS: usize = 16;

/// The first steps of one kind, in their order.
#[derive(Clone, Debug)]
pub struct Steps<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Steps<T> {
    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// The first one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.more.last().or(self.first.as_ref())
    }

    /// The last one, to be changed.
    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.more.last_mut().or(self.first.as_mut())
    }

    /// One more, if there is room for it.
    pub(super) fn push(&mut self, step: T) {
        if self.first.is_none() {
            self.first = Some(step);
        } else if self.len() < STEPS {
            self.more.push(step);
        }
    }
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}
