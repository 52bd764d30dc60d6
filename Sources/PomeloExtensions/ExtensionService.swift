// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// Where plugins take part in what this server does: who takes part, who is asked, and who is told.
///
/// ```swift
/// app.extensions.implement(.beforeSend, as: "no-links") { event in
///     event.data["body"]?.string?.contains("http") == true ? .refuse("no links, please") : .ok
/// }
/// ```
@Loop public final class ExtensionService {
    /// Who takes part in other processes; kept until it is nil again.
    public var outside: (any OutsideImplementers)?
    private let context: ServiceContext
    private let meters: ExtensionMeters
    private let kept: KeptAnswers
    private var local: [ExtensionPoint: [Candidate]] = [:]
    private var lines: [ExtensionPoint: [ToldLine]] = [:]
    private lazy var queue = AskQueue(context.clock, meters, kept) { [unowned self] in candidates(of: $0) }

    init(_ context: ServiceContext) {
        self.context = context
        meters = ExtensionMeters(context)
        kept = KeptAnswers(context.clock)
    }

    // MARK: taking part

    /// Has a body of this process take part in a point; one of the same name takes its place.
    ///
    /// Bodies come before implementers in other processes, in the order of priority and name.
    public func implement(
        _ point: ExtensionPoint, as name: String, priority: Int = 100,
        _ body: @escaping @Loop (ExtensionEvent) async throws -> ExtensionAnswer
    ) {
        implement(point, by: LocalImplementer(name, priority, body))
    }

    /// Has a body of this process be told what happens at a point.
    ///
    /// - Precondition: the point is one that is told.
    public func follow(
        _ point: ExtensionPoint, as name: String, priority: Int = 100,
        _ body: @escaping @Loop (ExtensionEvent) async throws -> Void
    ) {
        precondition(!point.isAsked, "\(point) is asked: implement(…) answers")
        implement(point, as: name, priority: priority) { event in
            try await body(event)
            return .ok
        }
    }

    /// Has an object of this process take part in a point; one of the same name is replaced.
    public func implement(_ point: ExtensionPoint, by implementer: any Implementer) {
        let others = (local[point] ?? []).filter { Text($0.implementer.name) != Text(implementer.name) }
        local[point] = (others + [Candidate(implementer: implementer, isOutside: false)]).sorted {
            ($0.implementer.priority, Text($0.implementer.name)) < ($1.implementer.priority, Text($1.implementer.name))
        }
        kept.forgetAll()
        guard !point.isAsked else { return }
        let former = lines[point] ?? []
        lines[point] = local[point]?.map { candidate in
            former.first { $0.implementer === candidate.implementer } ?? ToldLine(candidate.implementer, meters)
        }
    }

    /// Whether somebody is there to be asked now, or told in this process.
    public func isImplemented(_ point: ExtensionPoint) -> Bool {
        if local[point] != nil { return true }
        guard let outside else { return false }
        return !outside.implementers(of: point).isEmpty
    }

    /// What was counted at a point since the start.
    public func count(of kind: ExtensionCount, at point: ExtensionPoint) -> Int { meters.value(of: kind, at: point) }

    private func candidates(of point: ExtensionPoint) -> [Candidate] {
        let here = local[point] ?? []
        guard let outside else { return here }
        return here + outside.implementers(of: point).map { Candidate(implementer: $0, isOutside: true) }
    }

    // MARK: asking and telling

    /// Asks those who take part whether, and with which data, something may go on; `onFailure` stands above the
    /// point's own policy.
    ///
    /// - Guarantee: one verdict, within the point's budget by the application's clock, waiting included; questions with
    ///   one key are begun one after the other, and return in the order in which they were asked. Those beyond the
    ///   bounds (64 waiting with one key, 4096 in all, 16 MiB of data, 1 MiB each) are left to the policy at once.
    /// - Precondition: the point is one that is asked.
    /// - Complexity: a look-up when nobody takes part: it does not suspend.
    public func ask(
        _ point: ExtensionPoint, _ data: JSON, key: String, onFailure: FailurePolicy? = nil
    ) async -> ExtensionVerdict {
        precondition(point.isAsked, "\(point) is told, not asked")
        let place = AskPlace(point, key)
        guard isImplemented(point) || queue.has(place) else { return .pass(data, tags: []) }
        meters.count(.asked, at: point)
        if !queue.has(place), let verdict = kept.answer(at: place)?.verdict(on: data) {
            meters.ended(point, verdict)
            return verdict
        }
        let policy = onFailure ?? point.onFailure
        let size = data.encoded().count
        let refusal: ExtensionFailure? =
            size > ExtensionPoint.dataLimit ? .tooLarge : queue.hasRoom(for: size, at: place) ? nil : .busy
        if let refusal {
            let verdict = ExtensionVerdict.unanswered(point, data, policy)
            meters.failed(point, refusal)
            meters.ended(point, verdict)
            return verdict
        }
        return await queue.ask(event(point, data, key), size, policy, at: place)
    }

    /// Tells those who take part what has happened; returns at once.
    ///
    /// Those of this process are told in order per key, each by itself; those of others as who brings it there says.
    /// Data and key are not made when nobody takes part.
    ///
    /// - Precondition: the point is one that is told.
    public func tell(_ point: ExtensionPoint, _ data: @autoclosure () -> JSON, key: @autoclosure () -> String) {
        precondition(!point.isAsked, "\(point) is asked, not told")
        let lines = lines[point]
        guard lines != nil || outside != nil else { return }
        meters.count(.told, at: point)
        let event = event(point, data(), key())
        let size = event.data.encoded().count
        guard size <= ExtensionPoint.dataLimit else {
            return meters.failed(point, ExtensionFailure.tooLarge, as: .lost)
        }
        for line in lines ?? [] where !line.tell(event, size) {
            meters.failed(point, ExtensionFailure.busy, line.implementer.name, as: .lost)
        }
        outside?.deliver(event, coalesced: point.isCoalesced)
    }

    private func event(_ point: ExtensionPoint, _ data: JSON, _ key: String) -> ExtensionEvent {
        ExtensionEvent(
            point: point, id: context.random.uuid(), at: context.clock.wallMilliseconds, server: context.serverID,
            key: key, data: data)
    }
}
