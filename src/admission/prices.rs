//! The numbers of prices: each means one cost as long as anybody may know it.

use super::plan::Cost;
use crate::quota::PriceNo;

/// What each number means, and the last configuration that uses it.
#[derive(Default)]
pub(super) struct Prices(Vec<(Cost, u64)>);

impl Prices {
    /// The number of `cost` for configuration `edition`. Numbers that only configurations before
    /// `oldest` knew are given anew.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn number(
        &mut self,
        cost: &Cost,
        edition: u64,
        oldest: u64,
    ) -> Result<PriceNo, String> {
        let known = self.0.iter().position(|(known, _)| known == cost);
        let vacant = || self.0.iter().position(|(_, last)| *last < oldest);
        let at = known.or_else(vacant).unwrap_or(self.0.len());
        let number = u16::try_from(at).map_err(|_| {
            "more prices than numbers, as calls of many earlier configurations still run: try again in a minute"
        })?;
        match self.0.get_mut(at) {
            Some(place) => *place = (cost.clone(), edition),
            None => self.0.push((cost.clone(), edition)),
        }
        Ok(PriceNo(number))
    }

    /// Every number that a configuration from `oldest` on may know.
    pub(super) fn known(&self, oldest: u64) -> impl Iterator<Item = (PriceNo, &Cost)> {
        let numbered = (0..).map(PriceNo).zip(&self.0);
        numbered
            .filter(move |(_, (_, last))| *last >= oldest)
            .map(|(number, (cost, _))| (number, cost))
    }

    /// The price of one slot of the connection's own pool and none of any other, or the next thing
    /// to it, of those that `edition` uses.
    pub(super) fn plain(&self, edition: u64) -> PriceNo {
        let usual = |(_, cost): &(PriceNo, &Cost)| (cost.named.len(), cost.own == 0, cost.own);
        self.known(edition).min_by_key(usual).map_or(PriceNo(0), |(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(own: u32) -> Cost {
        Cost { own, ..Cost::default() }
    }

    #[test]
    fn a_number_means_one_cost_while_anybody_may_know_it() {
        let mut prices = Prices::default();
        assert_eq!(prices.number(&cost(1), 1, 1), Ok(PriceNo(0)));
        assert_eq!(prices.number(&cost(2), 2, 1), Ok(PriceNo(1)), "the first is still known");
        assert_eq!(prices.number(&cost(2), 3, 2), Ok(PriceNo(1)));
        assert_eq!(
            prices.number(&cost(3), 4, 2),
            Ok(PriceNo(0)),
            "nobody knows the first any more"
        );
    }

    #[test]
    fn a_thousand_changes_take_no_more_numbers_than_are_known_at_a_time() {
        let mut prices = Prices::default();
        for edition in 1..1000 {
            let number = prices.number(&cost(u32::try_from(edition).unwrap()), edition, edition);
            assert!(number.unwrap().0 < 2);
        }
    }
}
