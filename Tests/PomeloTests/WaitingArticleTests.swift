// SPDX-License-Identifier: MIT
import Dispatch
import Foundation
import Pomelo
import PomeloTesting
import TestHelpers
import Testing

// The code of the documentation's article on databases in handlers, whole.

private enum ScoreAPI {
    static let save = Call<Score, Rank>("connector.score.save")
    static let best = Call<Nothing, Score>("connector.score.best")
    static let total = Call<Score, Total>("connector.score.total")
    static let archive = Call<Score, Total>("connector.score.archive")
    static let export = Call<Nothing, Total>("connector.score.export")
    static let report = Call<Nothing, Total>("connector.score.report")
    static let onBest = Push<Score>("onBest")

    struct Score: Body, Equatable { var points: Int }
    struct Rank: Body, Equatable { var rank: Int }
    struct Total: Body, Equatable { var sum: Int }
}

/// A library that blocks: its calls return when the disk has answered.
///
/// Any thread may call it.
private final class ScoreTable: Sendable {
    private let lock = NSLock()
    private let file: String

    init(_ file: String) { self.file = file }

    /// The database hangs, until it is let go.
    func hang() { lock.lock() }
    func letGo() { lock.unlock() }

    /// Adds a line to the file; returns how many are as good or better.
    func insert(_ points: Int) throws -> Int {
        try lock.withLock {
            let all = try read() + [points]
            try all.map(String.init).joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
            return all.count { $0 >= points }
        }
    }

    func best() throws -> Int? { try lock.withLock { try read().max() } }

    private func read() throws -> [Int] {
        guard FileManager.default.fileExists(atPath: file) else { return [] }
        return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").compactMap { Int($0) }
    }
}

/// A library with threads of its own and callbacks.
private final class ScoreService: Sendable {
    private let queue = DispatchQueue(label: "score service")

    func report(_ done: @escaping @Sendable (Result<Int, any Error>) -> Void) {
        queue.async { done(.success(42)) }
    }
}

/// The same for `await`.
extension ScoreService {
    func report() async throws -> Int {
        try await Task.sleep(for: .milliseconds(1))
        return try await withCheckedThrowingContinuation { waiter in
            report { waiter.resume(with: $0) }
        }
    }
}

/// What belongs together is in an actor: nobody sees half a change.
private actor Ledger {
    private var sum = 0

    func add(_ points: Int) -> Int {
        sum += points
        return sum
    }

    var isOnLoop: Bool { EventLoop.shared.isOnLoop }
}

/// A thread of its own, for one job after the other.
private final class OwnThread: SerialExecutor {
    private let queue = DispatchQueue(label: "archive")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

/// A connection that blocks, and that one thread at a time may use.
private actor Archive {
    private let thread = OwnThread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }
    private var lines: [Int] = []

    func append(_ points: Int) -> Int {
        lines.append(points)
        return lines.count
    }

    var isOnLoop: Bool { EventLoop.shared.isOnLoop }
}

/// At most so many at a time: the others are refused, and told so.
@Loop private final class Gate {
    private let limit: Int
    private(set) var count = 0

    init(_ limit: Int) { self.limit = limit }

    func pass<Value>(_ body: @Loop () async throws -> Value) async throws -> Value {
        guard count < limit else { throw Fault(503, "busy") }
        count += 1
        defer { count -= 1 }
        return try await body()
    }
}

@Loop private final class ScoreHandler: Handler {
    private let app: Application
    private let table: ScoreTable
    let ledger = Ledger()
    let archive = Archive()
    private let service = ScoreService()
    private let gate = Gate(2)
    /// The best score, as far as this process knows.
    private(set) var best = 0
    private(set) var pages = 0

    init(_ app: Application, _ table: ScoreTable) {
        self.app = app
        self.table = table
    }

    var routes: [ServedRoute] {
        on(ScoreAPI.save, save)
        on(ScoreAPI.best, best)
        on(ScoreAPI.total, total)
        on(ScoreAPI.archive, archive)
        on(ScoreAPI.export, export)
        on(ScoreAPI.report, report)
    }

    func save(_ query: ScoreAPI.Score, _ session: Session) async throws -> ScoreAPI.Rank {
        let rank: Int
        do {
            rank = try await offLoop { [table] in try table.insert(query.points) }
        } catch OffLoopError.queueFull {
            throw Fault(503, "busy")
        }
        // Others have run meanwhile: what was known before the await is looked at again.
        best = max(best, query.points)
        return .init(rank: rank)
    }

    func best(_ query: Nothing, _ session: Session) async throws -> ScoreAPI.Score {
        let best = try await app.clock.within(.seconds(1)) { [table] in
            try await offLoop { try table.best() }
        }
        guard let best else { throw Fault(504, "the table does not answer") }
        return .init(points: best ?? 0)
    }

    func total(_ query: ScoreAPI.Score, _ session: Session) async throws -> ScoreAPI.Total {
        let sum = await ledger.add(query.points)
        return .init(sum: sum)
    }

    func archive(_ query: ScoreAPI.Score, _ session: Session) async throws -> ScoreAPI.Total {
        .init(sum: await archive.append(query.points))
    }

    func export(_ query: Nothing, _ session: Session) async throws -> ScoreAPI.Total {
        for page in 1...100 {
            try Task.checkCancellation()
            try await write(page)
        }
        return .init(sum: 100)
    }

    /// Stands for a page that takes a second to be written.
    private func write(_ page: Int) async throws {
        await app.clock.sleep(for: .seconds(1))
        pages = page
    }

    func report(_ query: Nothing, _ session: Session) async throws -> ScoreAPI.Total {
        let sum = try await gate.pass { try await service.report() }
        return .init(sum: sum)
    }
}

/// A connector with the handler, and its table in a file of its own.
@Loop private final class ScoreWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
    let table: ScoreTable
    let handler: ScoreHandler
    private let file = NSTemporaryDirectory() + "pomelo-scores-\(UUID().uuidString)"

    init(_ setUp: @Loop (Application) throws -> Void = { _ in }) async throws {
        table = ScoreTable(file)
        let app = try cluster.make("connector-1", setUp)
        handler = ScoreHandler(app, table)
        try app.handle(handler)
        try await app.start()
    }

    func client() throws -> TestSocket { try #require(cluster.connect("connector-1")) }

    func end() async {
        await cluster.stopAll()
        do { try FileManager.default.removeItem(atPath: file) } catch { /* it was never written */  }
    }
}

/// One after the other: they share the two worker threads.
@Suite(.serialized) struct WaitingArticleTests {
    @Test @Loop func aBlockingLibraryAnswersOffTheLoop() async throws {
        let world = try await ScoreWorld()
        let client = try world.client()
        #expect(try await client.request(ScoreAPI.save, .init(points: 7)) == .init(rank: 1))
        #expect(try await client.request(ScoreAPI.save, .init(points: 5)) == .init(rank: 2))
        #expect(try await client.request(ScoreAPI.best) == .init(points: 7))
        await world.end()
    }

    /// A job that blocks holds up neither the loop nor the test's clock.
    @Test @Loop func aHangingLibraryHoldsUpNobodyElse() async throws {
        let world = try await ScoreWorld()
        let (ann, bob, begin) = (try world.client(), try world.client(), world.cluster.clock.now)
        world.table.hang()
        let saved = Journal<Int>()
        Loop.spawn {
            do { saved.note(try await ann.request(ScoreAPI.save, .init(points: 7)).rank) } catch { Issue.record(error) }
        }
        await until("the job is under way") { offLoopJobs == 1 }
        // More turns than would have moved the time.
        for _ in 0..<500 { await Loop.yield() }
        #expect(try await bob.request(ScoreAPI.total, .init(points: 1)) == .init(sum: 1))
        #expect(saved.entries.isEmpty && world.cluster.clock.now == begin)
        world.table.letGo()
        await until("it is saved") { saved.entries == [1] }
        await world.end()
    }

    @Test @Loop func whoIsTooManyIsRefused() async throws {
        let world = try await ScoreWorld()
        world.table.hang()
        var crowd: [TestSocket] = []
        for number in 0..<300 {
            if number % 50 == 0 { crowd.append(try world.client()) }
            crowd[crowd.count - 1].request(ScoreAPI.save.route.text, Array(#"{"points":1}"#.utf8))
        }
        let answers = { crowd.flatMap { $0.answers.values.map { String(decoding: $0[0], as: UTF8.self) } } }
        // 256 wait, and two are at work if their threads were quick.
        await until("all have a place, or none") { answers().count + offLoopJobs == 300 }
        #expect((42...44).contains(answers().count))
        #expect(answers().allSatisfy { $0 == #"{"code":503,"message":"busy"}"# })
        world.table.letGo()
        await until("everybody was answered") { answers().count == 300 }
        await world.end()
    }

    @Test @Loop func aTimeLimitAnswersAndCancels() async throws {
        let world = try await ScoreWorld { app in app.filter(.timeout(.seconds(2))) }
        let client = try world.client()
        client.patience = .seconds(60)
        world.table.hang()
        let faults = Journal<Fault?>()
        Loop.spawn {
            faults.note(await thrown { try await client.request(ScoreAPI.best) } as? Fault)
            faults.note(await thrown { try await client.request(ScoreAPI.save, .init(points: 7)) } as? Fault)
        }
        await until("the first is under way") { offLoopJobs == 1 }
        await world.cluster.advance(by: .seconds(1))
        await until("the second is under way") { offLoopJobs == 2 }
        await world.cluster.advance(by: .seconds(2))
        let late = [Fault(504, "the table does not answer"), Fault(504, "the request took too long")]
        await until("both were answered") { faults.entries == late }
        world.table.letGo()
        await until("what was begun was done all the same") { offLoopJobs == 0 }
        #expect(try await client.request(ScoreAPI.best) == .init(points: 7))
        await world.end()
    }

    @Test @Loop func onlyALimitOfAFilterCancels() async throws {
        let limited = try await ScoreWorld { app in app.filter(.timeout(.seconds(2))) }
        await #expect(throws: Fault(504, "the request took too long")) {
            try await limited.client().request(ScoreAPI.export)
        }
        await limited.cluster.advance(by: .seconds(20))
        #expect(limited.handler.pages <= 3)
        await limited.end()

        let world = try await ScoreWorld()
        let client = try world.client()
        client.patience = .seconds(60)
        await #expect(throws: Fault(500)) { try await client.request(ScoreAPI.export) }
        await world.cluster.advance(by: .seconds(100))
        #expect(world.handler.pages == 100)
        await world.end()
    }

    @Test @Loop func anActorWithoutAThreadIsOnTheLoop() async throws {
        let world = try await ScoreWorld()
        let client = try world.client()
        #expect(try await client.request(ScoreAPI.total, .init(points: 2)) == .init(sum: 2))
        #expect(try await client.request(ScoreAPI.archive, .init(points: 2)) == .init(sum: 1))
        let places = Journal<Bool>()
        Loop.spawn {
            places.note(await world.handler.ledger.isOnLoop)
            places.note(await world.handler.archive.isOnLoop)
            places.note(EventLoop.shared.isOnLoop)
        }
        await until("all have said where they are") { places.entries == [true, false, true] }
        await world.end()
    }

    @Test @Loop func anAsyncLibraryIsAwaited() async throws {
        let world = try await ScoreWorld()
        world.cluster.followSystemTime()
        #expect(try await world.client().request(ScoreAPI.report) == .init(sum: 42))
        let gate = Gate(1)
        try await gate.pass {
            _ = await #expect(throws: Fault(503, "busy")) { try await gate.pass {} }
        }
        try await gate.pass {}
        await world.end()
    }

    /// Requests of a session one by one; those of others go on.
    @Test @Loop func aSessionsRequestsWaitForEachOther() async throws {
        let world = try await ScoreWorld { app in
            app.limits.requestsInFlight = 8
            app.filter(.serial(timeout: .seconds(3), maxWaiting: 4))
        }
        let (ann, bob) = (try world.client(), try world.client())
        world.table.hang()
        for _ in 0..<9 { ann.request(ScoreAPI.save.route.text, Array(#"{"points":1}"#.utf8)) }
        #expect(ann.isPaused)
        // One is at work and four wait; the others were refused, and then the last was read.
        await until("all have their place") { offLoopJobs == 1 && ann.answers.count == 4 }
        #expect(try await bob.request(ScoreAPI.total, .init(points: 1)) == .init(sum: 1))
        world.table.letGo()
        await until("all are answered") { ann.answers.count == 9 }
        await world.end()
    }

    @Test @Loop func theWatchdogTellsOfABlockedLoop() {
        let told = DispatchSemaphore(value: 0)
        let watchdog = Watchdog(limitMilliseconds: 20) { _ in told.signal() }
        // What no handler may do: the loop stands still until the watchdog's thread has told of it.
        #expect(told.wait(timeout: .now() + 20) == .success)
        watchdog.stop()
    }
}
