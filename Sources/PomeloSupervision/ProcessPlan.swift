// SPDX-License-Identifier: MIT
//
// PomeloSupervision: processes that are kept running, and that end with who keeps them.
// Reading order: ProcessPlan, FarProcess, RestartRule, Files, ProcessLog, ProcessIdentity, RunningProcess,
// ManagedProcess, Keeper, SupervisorState, Supervisor.
package import PomeloUV

/// A process that is to be kept running.
package struct ProcessPlan: Sendable {
    /// When it starts, and in reverse when it ends: what others need comes first.
    package enum Stage: Int, CaseIterable, Sendable {
        case store
        case backend
        case frontend
        case page
    }

    /// Unique under one supervisor: of its log and its file with the process id, and the word of every message.
    package let name: String
    package let stage: Stage
    /// What is run; where its output goes is the supervisor's.
    package let command: ChildProcess.Command
    /// Whether a line of its output says that it serves.
    package let isUp: @Sendable (String) -> Bool
    package let restarts: RestartRule
    /// Set for a process of another machine, which `command` carries.
    package var far: FarProcess?
    /// Whether its descendants, who may hold its port, are ended by force when it has ended by itself.
    package var endsRemains = false

    /// A plan for a process that says `up <name>` when it serves, unless another sign is given.
    package init(
        _ name: String, _ stage: Stage, _ command: ChildProcess.Command, restarts: RestartRule,
        isUp: (@Sendable (String) -> Bool)? = nil
    ) {
        self.name = name
        self.stage = stage
        self.command = command
        self.restarts = restarts
        self.isUp = isUp ?? { $0 == "up \(name)" }
    }
}
