// SPDX-License-Identifier: MIT
import Pomelo

/// How many players each area has: the areas tell the master each second, and the master tells who asks.
@Loop final class Census: AdminModule {
    let moduleID = "census"
    let interval: Duration?
    /// Nil on the master.
    private let areas: Areas?
    private var agent: AdminAgent?
    private var latest: JSONObject = [:]

    init(_ areas: Areas? = nil) {
        self.areas = areas
        interval = areas == nil ? nil : .seconds(1)
    }

    func start(_ agent: AdminAgent) async throws { self.agent = agent }

    func monitorHandler(_ message: JSON) async throws -> JSON {
        guard let areas, let agent else { return .object(latest) }
        try await agent.notifyMaster(JSON(areas.count))
        return [:]
    }

    func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON {
        latest[server.rawValue] = message
        return [:]
    }
}
