// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop

/// Plugins as implementers of the cluster's points.
///
/// Each is called with the event as the body of a POST, and answers `{"ret", "msg", "data"?}`.
@Loop final class PluginImplementers: OutsideImplementers {
    static let owner: PluginID = "chat"
    private let router: PluginRouter
    private let outbox: PluginOutbox
    /// Of the view's epoch, so that a question costs a look-up.
    private var byPoint: [PointName: [PluginImplementer]] = [:]
    private var epoch: UInt64?

    init(_ router: PluginRouter, _ outbox: PluginOutbox) {
        self.router = router
        self.outbox = outbox
    }

    func implementers(of point: ExtensionPoint) -> [any Implementer] {
        let view = router.follower.view
        if view.epoch != epoch {
            epoch = view.epoch
            byPoint = [:]
        }
        if let known = byPoint[point.name] { return known }
        let found = view.implementers(of: Self.owner, point.name).map { PluginImplementer($0, router) }
        byPoint[point.name] = found
        return found
    }

    func deliver(_ event: ExtensionEvent, coalesced: Bool) { outbox.take(event, coalesced: coalesced) }
}

/// One plugin at one point.
@Loop final class PluginImplementer: Implementer {
    private let implementation: PluginImplementation
    private let router: PluginRouter

    init(_ implementation: PluginImplementation, _ router: PluginRouter) {
        self.implementation = implementation
        self.router = router
    }

    var name: String { implementation.id.rawValue }
    var priority: Int { implementation.priority }

    func answer(_ event: ExtensionEvent, within limit: Duration) async throws -> ExtensionAnswer {
        try await router.answer(to: event.json.encoded(), of: implementation, within: limit)
    }
}

extension PluginRouter {
    /// What a plugin answers to an event of the cluster.
    ///
    /// - Throws: `PluginAnswer` of its gate, or of a call that failed; `ExtensionFailure` for what is no answer.
    func answer(
        to event: Bytes, of implementation: PluginImplementation, within limit: Duration
    ) async throws -> ExtensionAnswer {
        guard let record = follower.view.plugin(implementation.id) else {
            throw PluginAnswer(404, "plugin not registered")
        }
        if let refusal = PluginGate.refusal(record.status) { throw refusal }
        let token = try await desk.delegation(to: record.id, caller: nil, user: nil)
        let request = PluginRequest(
            "POST", implementation.path,
            headers: [
                PluginHeader("Content-Type", "application/json"), PluginHeader("x-plugin-jwt", "Bearer \(token)"),
                PluginHeader("x-keel-depth", "1"), PluginHeader("dapr-callee-app-id", record.id.rawValue),
            ], body: event)
        let response = try await call(record, request, within: limit, limit: ExtensionPoint.dataLimit)
        guard response.status == 200 else {
            throw PluginAnswer(502, "\(record.id)\(implementation.path) answers \(response.status)")
        }
        return try ExtensionAnswer(try JSON.parse(response.body))
    }
}
