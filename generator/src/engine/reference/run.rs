//! Runs the states of a module until it waits.

use super::json::need_text;
use super::{Call, Interpreter, Visited};
use crate::moment::Moment;

/// What became of a state.
pub enum Outcome {
    /// It is over, at that moment.
    Exited(Moment),
    /// It goes on.
    Waits,
}

impl<'w> Interpreter<'w> {
    /// Runs a module at a moment. Where a state was over before, what follows runs at that earlier moment until it waits;
    /// what it waits in is then asked again at this one.
    pub fn run(&mut self, module: usize, time: Moment) {
        while !self.modules[module].over && self.is_alive(time) {
            let Call { path, state, .. } = *self.call(module);
            let json = self.files.state(path, state);
            match need_text(json, "type") {
                "Terminal" => self.end_call(module, time),
                "CallSubmodule" => {
                    let submodule = Call::new(need_text(json, "submodule"), time);
                    self.trace.push((submodule.path, submodule.state, time));
                    self.modules[module].calls.push(submodule);
                }
                _ => match self.run_state(module, json, time) {
                    Outcome::Waits => return,
                    Outcome::Exited(exited) => {
                        self.leave(module, exited);
                        if exited < time {
                            self.run(module, exited);
                        }
                    }
                },
            }
        }
    }

    /// Ends a submodule, whose history becomes part of its caller's; or the module itself, with the encounter that it
    /// left open.
    fn end_call(&mut self, module: usize, time: Moment) {
        let running = &mut self.modules[module];
        if running.calls.len() == 1 {
            running.over = true;
            running.in_wellness = None;
            if self.open.is_some_and(|open| open.owner == Some(module)) {
                self.close_encounter(time, None);
            }
            return;
        }
        let mut history = running.calls.pop().map_or_else(Vec::new, |call| call.history);
        if let Some(terminal) = history.last_mut() {
            terminal.exited = Some(time);
        }
        self.call_mut(module).history.extend(history);
        self.leave(module, time);
    }

    /// Goes from a state that is over to the next one.
    fn leave(&mut self, module: usize, exited: Moment) {
        let Call { path, state, .. } = *self.call(module);
        let next = self.follow(module, self.files.state(path, state), exited);
        self.trace.push((path, next, exited));
        let call = self.call_mut(module);
        if let Some(visit) = call.history.iter_mut().rev().find(|visit| visit.state == state) {
            visit.exited = Some(exited);
        }
        call.history.push(Visited { state: next, exited: None });
        call.state = next;
        call.entered = exited;
        call.expiry = None;
    }

    /// Waits until the state's expiry. A state does not end for somebody who is dead by then.
    pub fn wait_until(&mut self, module: usize, expiry: Moment, time: Moment) -> Outcome {
        self.call_mut(module).expiry = Some(expiry);
        if expiry <= time && self.is_alive(expiry) { Outcome::Exited(expiry) } else { Outcome::Waits }
    }
}
