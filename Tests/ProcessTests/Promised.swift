// SPDX-License-Identifier: MIT
import Foundation

/// What a real server may take for what it promises to do within a time.
///
/// The time itself, where the tests have the machine for themselves (`POMELO_ALONE`). Else twice that and a second:
/// with others' servers on its processors, what stands still for a second says nothing of ours.
func promised(_ time: Duration) -> Duration { isAlone ? time : time * 2 + .seconds(1) }

private let isAlone = ProcessInfo.processInfo.environment["POMELO_ALONE"] != nil
