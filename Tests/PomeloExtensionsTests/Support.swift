// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers

extension ExtensionPoint {
    /// Asked and told in tests, beside those of the cluster.
    static let race = ExtensionPoint(owner: "test", name: "race", mode: .race, budget: .milliseconds(100))
    static let seen = ExtensionPoint(owner: "test", name: "seen", mode: .fanout, budget: .seconds(5))
}

/// An implementer that does as it is told, and notes what it gets.
@Loop final class Scripted: Implementer {
    /// What becomes of a call.
    enum Act {
        case answer(ExtensionAnswer)
        case after(Duration, ExtensionAnswer)
        case fail
        /// Until the test ends the call.
        case hang
    }

    struct Failure: Error {}

    let name: String
    let priority: Int
    private let clock: any LoopClock
    private let act: @Loop (ExtensionEvent) -> Act
    private(set) var events: [ExtensionEvent] = []
    private(set) var limits: [Duration] = []
    private(set) var underWay = 0
    private var hanging: [(event: ExtensionEvent, end: FirstOutcome<ExtensionAnswer>)] = []

    init(
        _ name: String, _ clock: any LoopClock, priority: Int = 100, _ act: @escaping @Loop (ExtensionEvent) -> Act
    ) {
        self.name = name
        self.priority = priority
        self.clock = clock
        self.act = act
    }

    var data: [JSON] { events.map(\.data) }

    func answer(_ event: ExtensionEvent, within limit: Duration) async throws -> ExtensionAnswer {
        events.append(event)
        limits.append(limit)
        underWay += 1
        defer { underWay -= 1 }
        let end = FirstOutcome<ExtensionAnswer>()
        switch act(event) {
        case .answer(let answer): return answer
        case .fail: throw Failure()
        case .after(let delay, let answer): _ = clock.schedule(after: delay) { end.end(with: answer) }
        case .hang: hanging.append((event, end))
        }
        // Whether the task is cancelled or not.
        return await end.wait()
    }

    /// Ends the calls that hang, or some of them.
    func wake(_ answer: ExtensionAnswer = .ok, where isMeant: (ExtensionEvent) -> Bool = { _ in true }) {
        for (event, end) in hanging where isMeant(event) { end.end(with: answer) }
        hanging.removeAll { isMeant($0.event) }
    }
}

/// Implementers in other processes, as a plugin host would give them.
@Loop final class FakeOutside: OutsideImplementers {
    var asked: [ExtensionPoint: [any Implementer]] = [:]
    private(set) var delivered: [(event: ExtensionEvent, isCoalesced: Bool)] = []

    func implementers(of point: ExtensionPoint) -> [any Implementer] { asked[point] ?? [] }

    func deliver(_ event: ExtensionEvent, coalesced: Bool) { delivered.append((event, coalesced)) }
}

/// One server with extensions, on time that moves when told to.
@Loop final class ExtensionWorld {
    let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
    let app: Application
    let log = Journal<String>()
    /// When each question was answered, in the order of the answers.
    let answered = Journal<(name: String, verdict: ExtensionVerdict, at: Duration)>()
    private let start: UInt64

    /// The application is not started: its extensions need no more than its clock.
    init() throws {
        app = try cluster.make("chat-1")
        start = cluster.clock.now
    }

    var extensions: ExtensionService { app.extensions }
    var now: Duration { cluster.clock.elapsed(since: start) }

    func implementer(
        _ name: String, of point: ExtensionPoint = .beforeSend, priority: Int = 100,
        _ act: @escaping @Loop (ExtensionEvent) -> Scripted.Act
    ) -> Scripted {
        let implementer = Scripted(name, app.clock, priority: priority, act)
        extensions.implement(point, by: implementer)
        return implementer
    }

    /// Asks in the background; `answered` has the verdict.
    func ask(
        _ name: String, _ point: ExtensionPoint = .beforeSend, _ data: JSON? = nil, key: String = "hall",
        onFailure: FailurePolicy? = nil
    ) {
        Loop.spawn {
            let verdict = await self.extensions.ask(point, data ?? .string(name), key: key, onFailure: onFailure)
            self.answered.note((name, verdict, self.now))
        }
    }

    func pass(_ duration: Duration) async { await cluster.advance(by: duration, step: .milliseconds(5)) }

    var names: [String] { answered.entries.map(\.name) }
    var verdicts: [ExtensionVerdict] { answered.entries.map(\.verdict) }
    var times: [Duration] { answered.entries.map(\.at) }
}

extension ExtensionVerdict {
    static func passed(_ data: JSON) -> ExtensionVerdict { .pass(data, tags: []) }
    static func unmoderated(_ data: JSON) -> ExtensionVerdict { .pass(data, tags: [.unmoderated]) }
    static func unanswered(_ point: ExtensionPoint = .beforeSend) -> ExtensionVerdict {
        .refuse("\(point.name) was not answered", ret: ExtensionVerdict.unansweredRet)
    }
}

/// Says which server answers.
struct WhoHandler: Handler {
    static let who = Call<Nothing, ServerID>("chat.test.who")
    let id: ServerID

    var routes: [ServedRoute] { on(Self.who) { _, _ in id } }
}
