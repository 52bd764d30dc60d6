// SPDX-License-Identifier: MIT
import Pomelo
import PomeloCluster
import PomeloOperations
import PomeloSupervision

/// The servers that start once the master serves, and stop before it does; of several masters, the elected one's.
@Loop final class Launch: Component {
    let name = "launch"
    /// Longer than each stage is given.
    var stopDeadline: Duration? { .seconds(60) }
    /// All serve; what companions said of where they are.
    var onUp: (@Loop ([String]) -> Void)?
    var onFailure: (@Loop (any Error) -> Void)?
    /// One of those that came in place of what has ended does not come up.
    var onTrouble: (@Loop (any Error) -> Void)?
    /// Another one holds the office of the master, which this one may get at any time.
    var onStanding: (@Loop () -> Void)?
    var onDemoted: (@Loop () -> Void)?
    /// Set where several masters may be: only who holds the office keeps servers.
    var election: Election?
    private static let electionPatience = Duration.seconds(2)
    private var isEndOfAll = false
    private let supervisor: Supervisor
    private let plans: [ProcessPlan]
    private let added: @Loop ([String]) throws -> [(plan: ProcessPlan, words: [String])]
    private let leavesServers: Bool

    /// `added` makes plans of the words of an operator who adds servers.
    init(
        _ supervisor: Supervisor, _ plans: [ProcessPlan], leavesServers: Bool,
        added: @escaping @Loop ([String]) throws -> [(plan: ProcessPlan, words: [String])]
    ) {
        self.supervisor = supervisor
        self.plans = plans
        self.added = added
        self.leavesServers = leavesServers
    }

    func launchAll() throws {
        for plan in plans { try supervisor.start(plan) }
        for words in supervisor.added.values {
            for (plan, _) in try added(words) { try supervisor.start(plan) }
        }
    }

    func untilUp() async throws {
        guard try await supervisor.untilUp() else { return }
        onUp?(supervisor.processes.compactMap(\.address))
    }

    /// They need the master only to be told of each other's start.
    func didStart() async throws {
        guard let election else { return begin() }
        election.onElected = { [weak self] _ in
            self?.supervisor.act { [weak election] in election?.token }
            self?.begin()
        }
        election.onEnded = { [weak self] in
            self?.supervisor.abandon()
            self?.onDemoted?()
        }
        election.stand()
        Loop.spawn { [weak self] in
            await SystemClock.shared.sleep(for: Self.electionPatience)
            if election.token == nil { self?.onStanding?() }
        }
    }

    private func begin() {
        Loop.spawn {
            do {
                try self.launchAll()
                try await self.untilUp()
            } catch {
                // Those that an earlier master has left serve on, whatever became of another one.
                guard !self.supervisor.hasAdopted else { return self.onTrouble?(error) ?? () }
                self.isEndOfAll = true
                self.onFailure?(error)
            }
        }
    }

    /// What it keeps ends with it; in the background it leaves all to the next, unless all are to end.
    func willStop() async {
        election?.onEnded = nil
        if leavesServers, !isEndOfAll { return supervisor.abandon() }
        await supervisor.stop(from: .backend)
    }

    // MARK: commands

    /// Carries out a command of an operator; `stopAll` ends this process.
    ///
    /// - Throws: `Fault` 503 where another master is the leading one; 404 naming a server that is not kept here, before
    ///   anything is done.
    func obey(_ command: OperatorCommand, stopAll: @escaping @Loop () -> Void) async throws -> JSON {
        let leads = election.map { $0.token != nil } ?? true
        switch command {
        case .stop([]), .kill([]):
            // The end of all is for those that stand by, too: the next of them would start all again.
            if leads, command == .kill([]) { await killAll() }
            isEndOfAll = leads
            // Who has asked is answered first.
            Loop.spawn { stopAll() }
            return ["all": true]
        default:
            guard leads else { throw Fault(503, "another master is the leading one") }
            return try await carryOut(command)
        }
    }

    private func carryOut(_ command: OperatorCommand) async throws -> JSON {
        switch command {
        case .stop(let ids): return await each(try processes(ids)) { await self.supervisor.stop($0) }
        case .kill(let ids): return await each(try processes(ids)) { await self.supervisor.kill($0) }
        case .start(let ids): return await each(try processes(ids)) { try await self.supervisor.start($0) }
        case .restart(let ids):
            return await each(try processes(ids)) { try await self.supervisor.restart($0) }
        case .restartRunning(let ids):
            let all = ids.isEmpty ? servers : try processes(ids)
            return await each(all.filter { $0.state != .down }) { try await self.supervisor.restart($0) }
        case .add(let words): return try await add(words)
        case .supervised, .ask, .module: return .array(supervisor.processes.map(\.listed))
        }
    }

    /// What is kept, but for the stores, which outlive a restart of all others.
    private var servers: [ManagedProcess] { supervisor.processes.filter { $0.plan.stage != .store } }

    private func killAll() async {
        for process in servers { await supervisor.kill(process) }
    }

    private func add(_ words: [String]) async throws -> JSON {
        let new = try added(words)
        for (plan, words) in new {
            guard supervisor[plan.name] == nil else { throw Fault(409, "there is a server \(plan.name) already") }
            try supervisor.start(plan)
            supervisor.noteAdded(plan.name, words)
        }
        return await each(new.compactMap { supervisor[$0.plan.name] }) { process in
            do {
                try await self.supervisor.untilUp(process)
            } catch {
                // The next attempt is to find its name free.
                await self.supervisor.forget(process)
                throw error
            }
        }
    }

    private func processes(_ ids: [ServerID]) throws -> [ManagedProcess] {
        try ids.map { id in
            guard let process = supervisor[id.rawValue] else {
                let known = supervisor.processes.map(\.plan.name).joined(separator: ", ")
                throw Fault(404, "no server \(id) is kept here; those that are: \(known)")
            }
            return process
        }
    }

    /// One after the other, so that those of a type are never all away.
    private func each(
        _ processes: [ManagedProcess], _ act: @Loop (ManagedProcess) async throws -> Void
    ) async -> JSON {
        var (done, failed): ([JSON], JSONObject) = ([], [:])
        for process in processes {
            do {
                try await act(process)
                done.append(.string(process.plan.name))
            } catch {
                failed[process.plan.name] = .string("\(error)")
            }
        }
        return ["done": .array(done), "failed": .object(failed)]
    }
}

extension ManagedProcess {
    fileprivate var listed: JSON {
        [
            "id": .string(plan.name), "state": .string(state.rawValue), "restarts": JSON(restarts),
            "pid": pid.map { JSON(Int($0)) } ?? .null,
        ]
    }
}
