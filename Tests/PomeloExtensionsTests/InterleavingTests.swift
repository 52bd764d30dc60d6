// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Questions and implementers by chance, beside a model that knows when each must be answered, and with what.
@Suite struct InterleavingTests {
    @Test(arguments: 0..<20) @Loop func everyQuestionIsAnsweredAsTheModelSays(_ block: Int) async throws {
        for seed in block * 50..<(block + 1) * 50 {
            let run = try Interleaving(seed: UInt64(seed))
            await run.play()
            let faults = run.faults()
            #expect(faults.isEmpty, "seed \(seed): \(faults.prefix(3))")
        }
    }

    /// A model that agrees with everything shows nothing.
    @Test @Loop func theModelFindsFault() async throws {
        var found = 0
        for seed in 0..<20 {
            let run = try Interleaving(seed: UInt64(seed))
            await run.play()
            run.changeTheLastAnswer()
            found += run.faults().isEmpty ? 0 : 1
        }
        #expect(found == 20)
    }
}

/// One run by a seed.
@Loop private final class Interleaving {
    enum Act: CaseIterable { case ok, append, slow, fail, nonsense, drop, refuse, hang }

    struct Question {
        let number: Int
        let key: String
        let at: Int
        let policy: FailurePolicy
        /// What each implementer does with it, and how many milliseconds it takes.
        let acts: [(act: Act, delay: Int)]
    }

    struct Expected: Equatable {
        let verdict: ExtensionVerdict
        /// In half milliseconds.
        let at: Int
    }

    private let world: ExtensionWorld
    private var chance: SplitMix64
    private let point: ExtensionPoint
    private var questions: [Question] = []
    private var answers: [(number: Int, outcome: Expected)] = []
    private var progress = 0
    private var scripts: [Scripted] = []

    init(seed: UInt64) throws {
        world = try ExtensionWorld()
        var chance = SplitMix64(seed: seed)
        let budget = Int.random(in: 20...120, using: &chance)
        // Ends half way between two other instants: nothing depends on who of two comes first in one.
        point = ExtensionPoint(
            owner: "test", name: "chance", mode: .chain, budget: .microseconds(budget * 1000 + 500))
        let implementers = Int.random(in: 1...3, using: &chance)
        let keys = Int.random(in: 1...4, using: &chance)
        for number in 0..<Int.random(in: 5...40, using: &chance) {
            let acts = (0..<implementers).map { _ in
                (Act.allCases.randomElement(using: &chance) ?? .ok, Int.random(in: 1...budget, using: &chance) / 2)
            }
            questions.append(
                Question(
                    number: number, key: "\(Int.random(in: 0..<keys, using: &chance))",
                    at: Int.random(in: 0...200, using: &chance),
                    policy: Bool.random(using: &chance) ? .open : .closed, acts: acts))
        }
        questions.sort { ($0.at, $0.number) < ($1.at, $1.number) }
        self.chance = chance
        let acts = Dictionary(uniqueKeysWithValues: questions.map { ($0.number, $0.acts) })
        for index in 0..<implementers {
            let script = Scripted("\(index)", world.app.clock) { [unowned self] event in
                progress += 1
                let text = event.data.string ?? ""
                let number = text.split(separator: " ").first.flatMap { Int($0) } ?? 0
                let (act, delay) = acts[number]?[index] ?? (.ok, 0)
                switch act {
                case .ok: return .answer(.ok)
                case .append: return .after(.milliseconds(delay), .replace(.string(text + " \(index)")))
                case .slow: return .after(.milliseconds(delay), .ok)
                case .fail: return .fail
                case .nonsense: return .answer(ExtensionAnswer(ret: 4))
                case .drop: return .answer(.drop)
                case .refuse: return .after(.milliseconds(delay), .refuse("no", ret: -9))
                case .hang: return .hang
                }
            }
            scripts.append(script)
            world.extensions.implement(point, by: script)
        }
    }

    // MARK: the run

    func play() async {
        let clock = world.cluster.clock
        let start = clock.now
        for question in questions {
            _ = clock.schedule(at: start + UInt64(question.at) * 1_000_000) { self.ask(question, start) }
        }
        while let next = clock.nextDeadline {
            clock.advance(to: next)
            await rest()
            // Late ones end now and then, and change nothing.
            if Int.random(in: 0..<4, using: &chance) == 0 { wakeTheLate() }
        }
        for script in scripts { script.wake(.drop) }
        await rest()
    }

    private func ask(_ question: Question, _ start: UInt64) {
        Loop.spawn { [self] in
            let verdict = await world.extensions.ask(
                point, .string("\(question.number)"), key: question.key, onFailure: question.policy)
            progress += 1
            let at = Int((world.cluster.clock.now - start) / 500_000)
            answers.append((question.number, Expected(verdict: verdict, at: at)))
        }
    }

    private func wakeTheLate() {
        let known = Set(answers.map { "\($0.number)" })
        for script in scripts {
            script.wake(.refuse("late")) { event in
                known.contains((event.data.string ?? "").split(separator: " ").first.map(String.init) ?? "")
            }
        }
    }

    private func rest() async {
        var (known, quiet) = (-1, 0)
        while quiet < 8 {
            await Loop.yield()
            (known, quiet) = progress == known ? (known, quiet + 1) : (progress, 0)
        }
    }

    func changeTheLastAnswer() {
        guard let (number, outcome) = answers.popLast() else { return }
        answers.append((number, Expected(verdict: outcome.verdict, at: outcome.at + 1)))
    }

    // MARK: the model

    func faults() -> [String] {
        var faults: [String] = []
        if answers.map(\.number).sorted() != questions.map(\.number).sorted() {
            faults.append("answered were \(answers.map(\.number).sorted())")
        }
        for (key, those) in Dictionary(grouping: questions, by: \.key) {
            let order = answers.map(\.number).filter { number in those.contains { $0.number == number } }
            if order != those.map(\.number) { faults.append("key \(key): the order was \(order)") }
        }
        let expected = model()
        for (number, outcome) in answers where expected[number] != outcome {
            faults.append("\(number): \(outcome), not \(String(describing: expected[number]))")
        }
        return faults
    }

    private func model() -> [Int: Expected] {
        let budget = Int(point.budget.clampedNanoseconds / 500_000)
        var free: [String: Int] = [:]
        var expected: [Int: Expected] = [:]
        for question in questions {
            let deadline = question.at * 2 + budget
            var now = max(question.at * 2, free[question.key] ?? 0)
            var data = "\(question.number)"
            var tags: Set<ExtensionTag> = []
            var verdict: ExtensionVerdict?
            for (index, (act, delay)) in question.acts.enumerated() where verdict == nil && now < deadline {
                let lasts = [.append, .slow, .refuse].contains(act) ? delay * 2 : act == .hang ? budget * 2 : 0
                guard now + lasts < deadline else {
                    now = deadline
                    break
                }
                now += lasts
                switch act {
                case .ok, .slow, .hang: break
                case .append: data += " \(index)"
                case .drop: verdict = .drop
                case .refuse: verdict = .refuse("no", ret: -9)
                case .fail, .nonsense:
                    tags = [.unmoderated]
                    if question.policy == .closed { verdict = .unanswered(point) }
                }
            }
            if now >= deadline {
                now = deadline
                tags = [.unmoderated]
                if question.policy == .closed { verdict = .unanswered(point) }
            }
            free[question.key] = now
            expected[question.number] = Expected(verdict: verdict ?? .pass(.string(data), tags: tags), at: now)
        }
        return expected
    }
}
