// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloContract
import PomeloLibc
package import PomeloLoop
package import PomeloUV

/// Keeps processes running, and ends them in order; when it is gone itself, its `Keeper` does, or the next supervisor
/// of its folder adopts what runs.
///
/// In the folder each has `<name>.log`, what it writes, and `<name>.pid`, its process id while it runs;
/// `processes.json` is for the next supervisor.
@Loop package final class Supervisor {
    /// What a process is given to end by itself, and to come up.
    private static let patience = Duration.seconds(10)
    private static let startLimit = Duration.seconds(30)
    private static let saveAgain = Duration.seconds(1)

    /// In order of their start.
    package private(set) var processes: [ManagedProcess] = []
    package let folder: String
    private let clock: any LoopClock
    private let report: @Loop (String) -> Void
    private let keeper: Keeper?
    private var state: SupervisorState
    /// Whether an earlier supervisor has left some of them running.
    package private(set) var hasAdopted = false
    private var isStopping = false
    /// Set while what could not be written down waits for its next attempt: one for all of it.
    private var nextSave: TimerID?
    /// Whether somebody knows that it cannot be.
    private var isTold = false
    private var isAbandoned = false
    private var end: Task<Void, Never>?
    /// The token of the office that it acts by, while it holds that; nil: no office is needed.
    private var authority: (@Loop () -> UInt64?)?

    /// A supervisor of no processes yet; `report` is given a line for whatever happens to one unasked.
    ///
    /// With `endsAll` the processes do not outlive it, however it ends; whoever holds the lock does so until they are
    /// gone.
    ///
    /// - Throws: `NetworkError` when no keeper can be started.
    package init(
        folder: String, lock: FileLock? = nil, endsAll: Bool = true, clock: any LoopClock = SystemClock.shared,
        report: @escaping @Loop (String) -> Void
    ) throws(NetworkError) {
        self.folder = folder
        self.clock = clock
        self.report = report
        state = .load(folder)
        state.supervisor = ProcessIdentity(getpid())
        keeper = endsAll ? try Keeper(inheriting: lock.map { [$0.descriptor] } ?? [], report: report) : nil
    }

    /// Starts a process, and does not wait for it; or adopts it, where an earlier supervisor has left it running, or
    /// leaves it down, where it was stopped on purpose before that one was gone.
    ///
    /// - Throws: `NetworkError` when there is none to start; `PomeloError` `.notRunning` while the supervisor stops,
    ///   `.configuration` when another one, or a file of the folder, has its name.
    package func start(_ plan: ProcessPlan) throws {
        try check(plan.name)
        guard !isStopping else { throw PomeloError(.notRunning, "\(plan.name) is not started: all are being stopped") }
        let process = ManagedProcess(plan, in: folder, clock, mayAct: { [weak self] in self?.mayAct ?? false }) {
            [weak self] in self?.took(plan, $0)
        }
        if let identity = state.running[plan.name], identity.isAlive {
            process.adopt(identity)
            hasAdopted = true
            report("\(plan.name) runs already, as process \(identity.pid): adopted")
        } else if state.stopped.contains(plan.name) {
            report("\(plan.name) was stopped on purpose, and is left down")
        } else {
            try process.start()
        }
        processes.append(process)
    }

    /// Names are those of files: none may be another one's, nor outside the folder.
    private func check(_ name: String) throws {
        if self[name] != nil { throw PomeloError(.configuration, "there is a process \(name) already") }
        let isOwn = Self.ownFiles.contains(name) || Self.ownEndings.contains { name.hasSuffix($0) }
        guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), !isOwn else {
            throw PomeloError(.configuration, "no process can be called \(name.forLog): files of the logs are")
        }
    }

    private static let ownFiles: Set = ["start", "audit", "processes"]
    private static let ownEndings = [".start", ".standby"]

    /// Acts from now on only while it holds an office, and nobody with a higher token has this folder.
    package func act(by authority: @escaping @Loop () -> UInt64?) {
        isAbandoned = false
        self.authority = authority
        state = .load(folder)
        state.supervisor = ProcessIdentity(getpid())
        guard mayAct, let token = authority() else { return }
        note { $0.token = token }
    }

    /// Leaves all as they are: they are the next one's.
    package func abandon() {
        for process in processes { process.abandon() }
        processes = []
        isAbandoned = true
    }

    private var mayAct: Bool {
        guard let authority else { return true }
        guard let token = authority() else { return false }
        return token >= SupervisorState.load(folder).token ?? 0
    }

    /// Suspends until every process serves; false when all are being stopped.
    ///
    /// - Throws: `PomeloError` `.notRunning` with the end of the log of the first that has ended, or does not serve
    ///   within 30 s.
    @discardableResult
    package func untilUp() async throws -> Bool {
        let deadline = clock.deadline(after: Self.startLimit)
        for process in processes {
            await process.untilSettled(by: deadline)
            // REENTRANCY: whoever stops it meanwhile needs no message.
            if isStopping { return false }
            guard process.state == .up || !process.isWanted else { throw Self.failure(of: process) }
        }
        return true
    }

    /// The process of a name; nil when there is none.
    package subscript(_ name: String) -> ManagedProcess? { processes.first { $0.plan.name == name } }

    /// Ends one, which stays down until it is started on purpose.
    package func stop(_ process: ManagedProcess) async {
        if !isStopping { note { $0.stopped.insert(process.plan.name) } }
        await end(process)
    }

    private func end(_ process: ManagedProcess) async {
        if await process.stop(within: Self.patience) { return }
        report("\(process.plan.name) does not stop by itself: killed")
    }

    /// Ends one at once, with all its descendants; it stays down.
    package func kill(_ process: ManagedProcess) async {
        note { $0.stopped.insert(process.plan.name) }
        await process.kill()
        // One that waited for its restart does so no longer.
        await process.stop(within: .zero)
    }

    /// Of processes that no file names, the words that were said to add them.
    package var added: [String: [String]] { state.added ?? [:] }

    /// Notes such a process, for the next supervisor.
    package func noteAdded(_ name: String, _ words: [String]) {
        note { $0.added = ($0.added ?? [:]).merging([name: words]) { $1 } }
    }

    /// Ends one that was added, and knows no more of it.
    package func forget(_ process: ManagedProcess) async {
        await end(process)
        processes.removeAll { $0 === process }
        note {
            $0.added?[process.plan.name] = nil
            $0.stopped.remove(process.plan.name)
        }
    }

    /// Notes this process, which waits to be the supervisor of its folder, for `killAll`.
    ///
    /// - Throws: when it cannot be written.
    package func noteStandby(_ name: String) throws {
        guard let identity = ProcessIdentity(getpid()) else { return }
        try SupervisorState.noteStandby(name, identity, folder)
    }

    /// Ends at once what the supervisor of a folder keeps, that one itself, whether it runs or not, and who stands by.
    ///
    /// Only processes that are still those that were noted: by number and moment of birth, never by a name.
    ///
    /// - Returns: their names.
    package static func killAll(in folder: String) -> [String] {
        let state = SupervisorState.load(folder)
        // The supervisor first: it would start again what ends.
        let own = state.supervisor.flatMap { $0.isAlive && $0.pid != getpid() ? [("the master", $0.pid)] : nil } ?? []
        let others = state.running.filter { $0.value.isAlive }.map { ($0.key, $0.value.pid) }.sorted { $0.0 < $1.0 }
        let standbys = SupervisorState.standbys(folder).filter { $0.value.isAlive && $0.value.pid != getpid() }
            .map { ($0.key, $0.value.pid) }.filter { standby in !own.contains { $0.1 == standby.1 } }
        for (_, pid) in standbys + own { PomeloLibc.kill(pid, SIGKILL) }
        for (_, pid) in others { PomeloLibc.kill(-pid, SIGKILL) }
        return (standbys.sorted { $0.0 < $1.0 } + own + others).map(\.0)
    }

    /// Starts one that is down, and suspends until it serves.
    ///
    /// - Throws: as `untilUp`, or `NetworkError`.
    package func start(_ process: ManagedProcess) async throws {
        guard !isStopping else { throw PomeloError(.notRunning, "all are being stopped") }
        note { $0.stopped.remove(process.plan.name) }
        try process.start()
        try await untilUp(process)
    }

    /// Ends one and starts it again; should this supervisor be gone in between, the next one starts it.
    ///
    /// - Throws: as `start`.
    package func restart(_ process: ManagedProcess) async throws {
        await end(process)
        try await start(process)
    }

    /// Suspends until one of them serves.
    ///
    /// - Throws: as for all.
    package func untilUp(_ process: ManagedProcess) async throws {
        await process.untilSettled(by: clock.deadline(after: Self.startLimit))
        guard process.state == .up else { throw Self.failure(of: process) }
    }

    /// Ends all of them, the last stage first, and the keeper; later calls await the first.
    package func stop() async {
        let task = end ?? Loop.spawn { await self.endAll() }
        end = task
        await task.value
    }

    private func endAll() async {
        await stop(from: .store)
        if !isAbandoned {
            note {
                $0.stopped = []
                $0.added = nil
                $0.supervisor = nil
            }
        }
        await keeper?.end()
    }

    /// Ends those of a stage and of what comes behind it; nothing is started any more.
    package func stop(from first: ProcessPlan.Stage) async {
        isStopping = true
        for stage in ProcessPlan.Stage.allCases.reversed() where stage.rawValue >= first.rawValue {
            await withDiscardingTaskGroup { group in
                for process in processes where process.plan.stage == stage {
                    group.addTask { @Loop @Sendable in await self.stop(process) }
                }
            }
        }
    }

    private static func failure(of process: ManagedProcess) -> PomeloError {
        let lines = process.log.lastLines(10).map { "\n  \($0)" }.joined()
        let end = lines.isEmpty ? "it has written nothing" : "the end of \(process.log.path):\(lines)"
        return PomeloError(.notRunning, "\(process.plan.name) did not come up; \(end)")
    }

    private func took(_ plan: ProcessPlan, _ event: ManagedProcess.Event) {
        switch event {
        case .launched(let pid):
            keeper?.add(pid, plan.stage)
            note { $0.running[plan.name] = ProcessIdentity(pid) }
            // For people and their scripts; what counts is here.
            Files.write("\(pid)\n", to: "\(folder)/\(plan.name).pid")
        case .ended(let pid):
            keeper?.remove(pid)
            // The file may be about another one's by now.
            guard mayAct else { return }
            note { $0.running[plan.name] = nil }
            Files.remove("\(folder)/\(plan.name).pid")
        case .pauses(let ending, let pause):
            let next = pause == nil ? "left down, see \(folder)/\(plan.name).log" : "restarted"
            report("\(plan.name) ended\(ending.map { " (\($0.text))" } ?? ""); \(next)")
        case .failed(let error):
            report("\(plan.name) cannot be restarted: \(error)")
        }
    }
}

extension Supervisor {
    /// For the next supervisor, and for `killAll`.
    private func note(_ change: (inout SupervisorState) -> Void) {
        guard mayAct else { return }
        change(&state)
        save()
    }

    /// What cannot be written down is tried again until it can: a disk that is full may have room later.
    private func save() {
        do {
            try state.save(folder)
            if let nextSave { clock.cancel(nextSave) }
            nextSave = nil
            isTold = false
        } catch {
            if !isTold { report("processes.json: \(Files.reason(error))") }
            isTold = true
            if nextSave == nil { nextSave = clock.schedule(after: Self.saveAgain) { [weak self] in self?.saveLate() } }
        }
    }

    private func saveLate() {
        nextSave = nil
        if mayAct { save() }
    }
}

extension ChildProcess.Ending {
    /// For people.
    package var text: String {
        switch self {
        case .exited(let status): "status \(status)"
        case .signalled(let number): "signal \(number)"
        }
    }
}
