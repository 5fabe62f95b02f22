//! What tests check after each step.

use super::super::pools::Pools;
use super::super::queue::Lane;
use super::Scheduler;

impl Scheduler {
    /// What the apps' books say is what their slots do.
    pub(crate) fn assert_balance(&self, pools: &Pools) {
        let slots = &pools.get(self.main).unwrap().slots;
        let mut held = vec![[0_u32; 2]; self.apps.len()];
        for owner in slots.owners() {
            held[(owner / 2) as usize][(owner % 2) as usize] += 1;
        }
        for lane in Lane::ALL.map(Lane::index) {
            for (app, held) in self.apps.iter().zip(&held) {
                assert_eq!(app.lanes[lane].held, held[lane]);
                let waiting = app.lanes[lane].waiting;
                assert!(app.lanes[lane].listed || (lane == 1 || held[0] == 0) && waiting == 0);
            }
            let all: u32 = held.iter().map(|held| held[lane]).sum();
            assert_eq!(self.books.held(Lane::ALL[lane]), all);
            let waiting: u32 = self.apps.iter().map(|app| app.lanes[lane].waiting).sum();
            assert_eq!(self.queue.lane_len(Lane::ALL[lane]), waiting);
        }
        for app in &self.apps {
            assert!(app.rests.len() <= app.lanes[0].held as usize);
            assert!(app.rests.iter().is_sorted());
        }
    }
}
