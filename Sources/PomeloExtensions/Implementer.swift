// SPDX-License-Identifier: MIT
public import PomeloLoop

/// Who takes part in an extension point.
@Loop public protocol Implementer: AnyObject {
    /// Told apart by it: how many of its calls are under way is counted under this name, over all points.
    var name: String { get }
    /// Those with less come first; 100 as a rule.
    var priority: Int { get }
    /// Answers a question; what comes later than `limit` counts for nothing, and its task is cancelled.
    ///
    /// What is told needs no answer, and has no limit but `limit`.
    func answer(_ event: ExtensionEvent, within limit: Duration) async throws -> ExtensionAnswer
}

/// Implementers in other processes, as the service knows them: told apart, gated and called by who gives them.
@Loop public protocol OutsideImplementers: AnyObject {
    /// Those of a point that is asked, in the order in which they are asked, after those of this process.
    ///
    /// Who is there and must not be called throws when it is asked. Cheap: it is called for every question.
    func implementers(of point: ExtensionPoint) -> [any Implementer]
    /// Brings an event to those of a point that is told, in the background; a coalesced one supersedes those with its
    /// key that wait.
    ///
    /// Called for every event, in the order of the events.
    func deliver(_ event: ExtensionEvent, coalesced: Bool)
}

/// A body in this process.
@Loop final class LocalImplementer: Implementer {
    let name: String
    let priority: Int
    private let body: @Loop (ExtensionEvent) async throws -> ExtensionAnswer

    init(
        _ name: String, _ priority: Int, _ body: @escaping @Loop (ExtensionEvent) async throws -> ExtensionAnswer
    ) {
        self.name = name
        self.priority = priority
        self.body = body
    }

    func answer(_ event: ExtensionEvent, within limit: Duration) async throws -> ExtensionAnswer {
        try await body(event)
    }
}
