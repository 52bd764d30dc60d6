// SPDX-License-Identifier: MIT
import Foundation
import Pomelo
import PomeloCluster
import PomeloOperations
import PomeloSupervision
import PomeloUV

/// One run of `start`: Redis if asked for, the master in this process, the servers as its children.
@Loop final class Start<Program: ServerProgram> {
    /// What an ended start leaves behind ends within this time.
    private static var handOver: Duration { .seconds(40) }

    private let command: StartCommand<Program>
    private var terminal = Terminal()
    private var signals: [SignalWatcher] = []
    private var supervisor: Supervisor?
    private var app: Application?
    private let told = FirstOutcome<Void>()
    /// What the servers are given beside this process's own.
    private var variables: [String: String] = [:]

    init(_ command: StartCommand<Program>) { self.command = command }

    /// Ends the process when it cannot go on.
    func run() async {
        do {
            try await start()
            await supervisor?.stop()
        } catch {
            await supervisor?.stop()
            // What could not be started because all was told to end is no failure.
            guard told.isOpen else { return }
            terminal.error("error: \(Files.reason(error))")
            exit(1)
        }
    }

    private func start() async throws {
        _ = try LogLevel.read()
        if let folder = command.directory { try enter(folder) }
        let plan = try StartPlan(load(), type: command.type, id: command.id, onlyHere: command.here)
        let master = try master(plan)
        let logs = URL(fileURLWithPath: command.logs).path
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        let lock = try await locked(logs, command.standby ?? "start")
        signals = try [SIGTERM, SIGINT, SIGHUP].map { number in try SignalWatcher(number) { self.signalled(number) } }
        let supervisor = try Supervisor(folder: logs, lock: lock, endsAll: !command.inBackground) { [weak self] in
            self?.terminal.line($0)
        }
        self.supervisor = supervisor
        if let standby = command.standby { try supervisor.noteStandby(standby) }
        let restarts = command.restart ? RestartRule.atMost(3) : .never
        if let kind = command.redis {
            let redis = DevelopmentRedis(folder: logs, restarts: restarts)
            if let url = try await redis.start(kind, load(), supervisor) { variables["REDIS_URL"] = url }
        }
        guard told.isOpen else { return }
        let launch = try launch(plan, restarts, logs, supervisor)
        for server in plan.elsewhere { terminal.line("\(server.id) is of \(server.host), and not started here") }
        guard let master else { return try await supervise(launch) }
        try await runMaster(master, launch, logs)
    }

    /// The master that this process is; nil when another one is.
    private func master(_ plan: StartPlan) throws -> ServerRecord? {
        guard plan.hasMaster else { return nil }
        let configuration = try load()
        if let standby = command.standby { return try configuration.record(ServerID(standby)) }
        guard let master = configuration.master else {
            throw PomeloError(.configuration, "\(configuration.path("master")) has no master")
        }
        guard configuration.standbys.isEmpty || command.inBackground else {
            throw PomeloError(
                .configuration,
                "\(configuration.path("masterha")) names masters that stand by: start with -D, for "
                    + "the servers of a start in the foreground end with it")
        }
        return master
    }

    /// Servers only: another process is the master.
    private func supervise(_ launch: Launch) async throws {
        try launch.launchAll()
        try await launch.untilUp()
        await told.wait()
        terminal.line("stopping")
    }

    private func runMaster(_ master: ServerRecord, _ launch: Launch, _ logs: String) async throws {
        let configuration = try load()
        // What it logs is not for the terminal.
        let log = "\(logs)/\(master.id).log"
        terminal = Terminal(try ThisProcess.copyOfOutput())
        try ThisProcess.moveOutput(to: log)
        let app = try Program.application(configuration, master.id, log: log)
        try app.load(launch)
        if !configuration.standbys.isEmpty { launch.election = try app.election("master") }
        let operations = try app.takeCommands(configuration, audit: "\(logs)/audit.log")
        operations.onCommand = { [weak self] in try await launch.obey($0) { self?.app?.requestStop() } }
        self.app = app
        try await app.run()
        terminal.line("stopping")
    }

    private func launch(
        _ plan: StartPlan, _ restarts: RestartRule, _ logs: String, _ supervisor: Supervisor
    ) throws -> Launch {
        guard let program = ThisProcess.executable else {
            throw PomeloError(.configuration, "the system does not say which program this is")
        }
        let configuration = try load()
        let plans = ServerPlans(
            configuration: configuration, program: program, variables: variables, restarts: restarts, logs: logs,
            ssh: command.sshWords)
        let all = try plan.servers.map { try plans.plan($0) } + command.companions(restarts)
        let launch = Launch(supervisor, all, leavesServers: command.inBackground) { words in
            let names = supervisor.processes.map(\.plan.name)
            return try configuration.adding(ProcessArguments(words), beside: names).map { record, words in
                try StartPlan.check(record, configuration)
                return (try plans.plan(record, words: words), words)
            }
        }
        let end = command.inBackground ? "" : ", Ctrl-C stops everything"
        let note = "(logs in \(command.logs)\(end))"
        launch.onUp = { [weak self] addresses in
            let places = addresses + plan.servers.compactMap(\.clientPlace)
            let list = places.isEmpty ? "" : ": \(places.joined(separator: ", "))"
            self?.terminal.line("\(Program.self) is up\(list) \(note)")
        }
        launch.onTrouble = { [weak self] error in
            self?.terminal.line("\(Program.self) is up \(note), but: \(error)")
        }
        launch.onStanding = { [weak self] in
            self?.terminal.line("\(Program.self) is up: \(self?.app?.serverID ?? "") stands by \(note)")
        }
        launch.onDemoted = { [weak self] in self?.terminal.line("another master may lead: servers are left to it") }
        launch.onFailure = { [weak self] in self?.app?.fail($0) }
        return launch
    }

    private func load() throws -> Configuration {
        let all = ProcessInfo.processInfo.environment.merging(variables) { $1 }
        return try command.options.load(Program.folder, variables: EnvironmentVariables(all))
    }

    private func enter(_ folder: String) throws {
        guard FileManager.default.changeCurrentDirectoryPath(folder) else {
            throw PomeloError(.configuration, "--directory: there is no folder \(folder.forLog)")
        }
    }

    // MARK: one at a time

    /// One start per folder of logs; what an ended one has left is waited for.
    private func locked(_ folder: String, _ name: String) async throws -> FileLock {
        let file = URL(fileURLWithPath: "\(folder)/\(name).pid")
        let clock = SystemClock.shared
        let deadline = clock.deadline(after: Self.handOver)
        var isSaid = false
        while true {
            if let lock = try FileLock("\(folder)/\(name).lock") {
                try Data("\(getpid())\n".utf8).write(to: file)
                return lock
            }
            let pid = Files.text(file.path).flatMap { Int32($0.dropLast()) }
            if let pid, kill(pid, 0) == 0 {
                throw PomeloError(.configuration, "already running as process \(pid) (\(file.path))")
            }
            guard clock.now < deadline else {
                throw PomeloError(.configuration, "servers of an ended start are still running, see \(folder)")
            }
            if !isSaid { terminal.line("waiting for the servers of an ended start to stop") }
            isSaid = true
            await clock.sleep(for: .milliseconds(100))
        }
    }

    /// The first signal asks; at the second one the keeper ends what is left.
    ///
    /// What ends a server is heard by the application itself, once it runs.
    private func signalled(_ number: Int32) {
        if let app { return number == SIGHUP ? app.requestStop() : () }
        guard told.end(with: ()) else { exit(130) }
        Loop.spawn { await self.supervisor?.stop() }
    }
}

extension ServerRecord {
    /// Where its clients reach it, for people.
    fileprivate var clientPlace: String? {
        guard isFrontend, let port = clientPort else { return nil }
        return "\(id) ws://\(clientHost ?? host):\(port)"
    }
}
