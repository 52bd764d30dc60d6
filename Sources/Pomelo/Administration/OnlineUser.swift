// SPDX-License-Identifier: MIT

/// Counts who is online, as `onlineUser` of the administration.
///
/// ```
/// a frontend:  {"connections": 5, "logins": 4}
/// a person:    {"connections": 12, "logins": 9, "servers": {"connector-1": {"connections": 5, "logins": 4}, …}}
/// ```
///
/// A login is a session that is bound to a user. Of a server that does not answer there is `{"error": …}`, and it is
/// not counted.
///
/// - Source: lordofpomelo, game-server/app/modules/onlineUser.js, which the master's page asked each 5 s.
@Loop public final class OnlineUser: AdminModule {
    /// `onlineUser`.
    public let moduleID = "onlineUser"
    /// Whoever may look.
    public let leastRole = AdminRole.read
    private let sessions: SessionService

    /// Counts at one server, of `app.context`.
    public init(_ context: ServiceContext) { sessions = context.sessions }

    /// Answers as a frontend does above, whatever it is asked.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        ["connections": JSON(sessions.count), "logins": JSON(sessions.bound.count)]
    }

    /// Answers a person, as above.
    public func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON {
        let answers = try await agent.ask(server, message)
        func sum(_ key: String) -> JSON {
            .int((answers.object ?? [:]).reduce(0) { $0 &+ ($1.1[key]?.int ?? 0) })
        }
        return ["connections": sum("connections"), "logins": sum("logins"), "servers": answers]
    }
}
