// SPDX-License-Identifier: MIT
package import Logging
import Metrics
package import PomeloContract
public import PomeloLoop

/// Runs this server's crons: those of `crons.json` for its type, and those added by the application.
///
/// A time that comes while the cron's last run is still under way is left out. A job that throws is logged, and runs
/// again at its next time. A run that is late, because the wall clock was set forward or the machine slept, is made up
/// for once. When the wall clock is set back by less than an hour, nothing runs a second time; when it is set back
/// further, all times are found anew.
///
/// - Source: pomelo 2.2.7, lib/components/server.js, and pomelo-scheduler 0.4.1, without their traps.
@Loop public final class CronService {
    /// What a cron does.
    public typealias Job = @Loop @Sendable () async throws -> Void

    /// The wall clock may be set at any time, so no timer looks further ahead.
    private static let horizon: Int64 = 60_000
    private static let longStepBack: Int64 = 3_600_000

    private let clock: any LoopClock
    private let log: Logger
    /// This server.
    private let own: ServerID
    /// The zone that cron texts are read in; set it before `start`.
    public var zone = CronZone.system
    /// Who of the servers of a type runs singletons; nil where there is no cluster.
    package var office: (any CronOffice)?
    private var jobs: [String: Job] = [:]
    private var entries: [CronEntry] = []
    private var runs: [CronRun] = []
    private var isRunning = false
    private var timer: TimerID?
    private var lastLook: (wall: Int64, now: UInt64) = (0, 0)
    private var stopWaiter: CheckedContinuation<Void, Never>?
    private let skipped = Counter(label: "pomelo.cron.skipped")
    private let failed = Counter(label: "pomelo.cron.failed")

    package init(_ clock: any LoopClock, _ log: Logger, on own: ServerID) {
        self.clock = clock
        self.log = log
        self.own = own
    }

    /// The crons of this server, in the order they were added.
    public var all: [Cron] { entries.map(\.cron) }

    /// Serves an action; handlers do it with `on(cron:)`.
    ///
    /// - Throws: `PomeloError` `.configuration` when it is served already.
    public func serve(_ action: String, _ job: @escaping Job) throws {
        guard jobs.updateValue(job, forKey: action) == nil else {
            throw PomeloError(.configuration, "the cron action \(action) is served twice")
        }
    }

    package func add(_ crons: [Cron]) throws {
        var ids = Set(entries.map(\.cron.id))
        for cron in crons {
            guard ids.insert(cron.id).inserted else {
                throw PomeloError(.configuration, "the cron \(cron.id) is there already")
            }
            if isRunning { try check(cron) }
        }
        for cron in crons where cron.server == nil || cron.server == own {
            var entry = CronEntry(cron)
            if isRunning { plan(&entry) }
            entries.append(entry)
        }
        if isRunning {
            stand()
            arm()
        }
    }

    package func remove(_ ids: [CronID]) {
        for id in ids where !entries.contains(where: { $0.cron.id == id }) {
            log.warning("there is no such cron to remove", metadata: ["pomelo.cron": "\(id)"])
        }
        entries.removeAll { ids.contains($0.cron.id) }
        if isRunning { arm() }
    }

    private func check(_ cron: Cron, in file: String? = nil) throws {
        let place = file.map { $0 + ": " } ?? ""
        guard jobs[cron.action] != nil else {
            throw PomeloError(
                .configuration, "\(place)the cron \(cron.id) has the action \(cron.action), which nothing serves")
        }
        guard office != nil || !cron.isSingleton else {
            throw PomeloError(
                .configuration, "\(place)the cron \(cron.id) is a singleton, which needs app.use(Cluster(…))")
        }
    }

    private func stand() {
        if entries.contains(where: \.cron.isSingleton) { office?.stand() }
    }

    // MARK: life

    /// Takes the crons of `crons.json`, and checks that every action is served.
    package func load(_ configured: [Cron], from file: String) throws {
        try add(configured)
        for entry in entries { try check(entry.cron, in: file) }
    }

    package func start() {
        isRunning = true
        for index in entries.indices { plan(&entries[index]) }
        stand()
        arm()
    }

    /// Begins no run any more, and waits for those under way, but not longer than `deadline`.
    package func stop(within deadline: Duration) async {
        isRunning = false
        cancelTimer()
        await withCheckedContinuation { waiter in
            if runs.isEmpty { return waiter.resume() }
            stopWaiter = waiter
            timer = clock.schedule(after: deadline) { self.giveUp() }
        }
        cancelTimer()
    }

    private func giveUp() {
        for run in runs {
            log.error("a cron did not end in time", metadata: ["pomelo.cron": "\(run.cron.id)"])
            run.task?.cancel()
        }
        runs = []
        stopWaiter?.resume()
        stopWaiter = nil
    }

    // MARK: time

    private func plan(_ entry: inout CronEntry) {
        entry.plan(clock.wallMilliseconds, zone)
        guard entry.next == nil else { return }
        log.warning("the only time of a cron has passed", metadata: ["pomelo.cron": "\(entry.cron.id)"])
    }

    private func arm() {
        cancelTimer()
        lastLook = (clock.wallMilliseconds, clock.now)
        guard let earliest = entries.compactMap(\.next).min() else { return }
        let delay = min(max(earliest - lastLook.wall, 0), Self.horizon)
        timer = clock.schedule(after: .milliseconds(delay)) { [weak self] in self?.look() }
    }

    private func cancelTimer() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }

    private func look() {
        let wall = clock.wallMilliseconds
        let expected = lastLook.wall + Int64((clock.now - lastLook.now) / 1_000_000)
        if expected - wall > Self.longStepBack {
            for index in entries.indices { entries[index].replan(wall, zone) }
        }
        let due = entries.indices.compactMap { index in
            entries[index].next.flatMap { $0 <= wall ? (index: index, time: $0) : nil }
        }
        for (index, _) in due.sorted(by: { ($0.time, $0.index) < ($1.time, $1.index) }) {
            entries[index].advance(wall, zone)
            if entries[index].cron.isSingleton, office?.isHeld != true { continue }
            if begin(entries[index].cron) { entries[index].ran() }
        }
        arm()
    }

    // MARK: runs

    private func begin(_ cron: Cron) -> Bool {
        guard let job = jobs[cron.action] else { return false }
        guard !runs.contains(where: { $0.cron.id == cron.id }) else {
            skipped.increment()
            log.warning("a cron is still running: skipped", metadata: ["pomelo.cron": "\(cron.id)"])
            return false
        }
        let run = CronRun(cron)
        runs.append(run)
        run.task = Loop.spawn {
            do {
                try await job()
            } catch {
                self.noteFailure(of: cron, error)
            }
            self.end(run)
        }
        return true
    }

    private func noteFailure(of cron: Cron, _ error: any Error) {
        failed.increment()
        log.error("a cron failed", metadata: ["pomelo.cron": "\(cron.id)", "error": "\(error)"])
    }

    private func end(_ run: CronRun) {
        runs.removeAll { $0 === run }
        guard runs.isEmpty else { return }
        stopWaiter?.resume()
        stopWaiter = nil
    }
}

/// The office of whoever runs the singletons of a server type.
@Loop package protocol CronOffice: AnyObject {
    /// Whether this server holds it at this moment.
    var isHeld: Bool { get }
    /// Stands for it from now on; once is enough.
    func stand()
}

/// One run of a cron.
@Loop private final class CronRun {
    let cron: Cron
    var task: Task<Void, Never>?
    init(_ cron: Cron) { self.cron = cron }
}
