// SPDX-License-Identifier: MIT
public import PomeloJSON
public import PomeloLoop

/// Who begins the rounds of a module that has an interval.
public enum AdminModuleKind: Sendable {
    /// Each server by itself: `monitorHandler`, with the message null.
    case push
    /// The master: `masterHandler`, with the message null, from itself; it asks servers by its agent.
    case pull
}

/// A task of administration that every server it is registered on can be asked for: what is slow, who is online.
///
/// A module runs on its own process; what it finds it can tell to the master, where the same module takes it, and
/// answers the people who ask.
///
/// - Source: pomelo 2.2.7, `app.registerAdmin`, and the module shape of pomelo-admin 1.0.1, whose modules were of the
///   kind pull unless they said so.
@Loop public protocol AdminModule: AnyObject {
    /// Unique in its application, the same on every server that has this module.
    var moduleID: String { get }
    /// Who begins its rounds.
    var kind: AdminModuleKind { get }
    /// How often there is a round; nil: never.
    var interval: Duration? { get }
    /// How long after the start the first round is; nil: one interval.
    var delay: Duration? { get }
    /// The least role that `clientHandler` is called for.
    var leastRole: AdminRole { get }
    /// Called once, when the application's components have started.
    func start(_ agent: AdminAgent) async throws
    /// Answers a request, or runs by the interval, when the message is null; what it returns then is not used.
    func monitorHandler(_ message: JSON) async throws -> JSON
    /// On the master: takes what a server tells, or runs by the interval, when the message is null.
    func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON
    /// On the master: answers a person, who means one server or all.
    func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON
    /// Called once, when the application stops.
    func stop()
}

extension AdminModule {
    /// Each server by itself.
    public var kind: AdminModuleKind { .push }
    /// Never by itself.
    public var interval: Duration? { nil }
    /// One interval.
    public var delay: Duration? { nil }
    /// Who may change servers may ask.
    public var leastRole: AdminRole { .operate }
    /// Does nothing.
    public func start(_ agent: AdminAgent) async throws {}
    /// Answers `{}`.
    public func monitorHandler(_ message: JSON) async throws -> JSON { [:] }
    /// Answers `{}`.
    public func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON { [:] }
    /// Answers what `monitorHandler` of that server, or of each, answers to the message, by server.
    public func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON {
        try await agent.ask(server, message)
    }
    /// Does nothing.
    public func stop() {}
}

/// A module's way to the rest of the cluster.
@Loop public struct AdminAgent {
    let admin: AdminService
    let module: String

    /// Tells the masters that are up; returns their answers by server.
    ///
    /// - Throws: `RPCError` of the first that did not answer; `.notSent` when no master is up.
    @discardableResult
    public func notifyMaster(_ message: JSON) async throws -> [ServerID: JSON] {
        try await admin.notifyMaster(module, message)
    }

    /// Asks the same module of one server, or of every one that is known, all at once.
    ///
    /// - Returns: their answers by server; of one that does not answer in time, or refuses, `{"error": …}`.
    /// - Throws: `Fault` 404 when there is no such server.
    public func ask(_ server: ServerID?, _ message: JSON, within deadline: Duration? = nil) async throws -> JSON {
        try await admin.ask(server, module, message, within: deadline)
    }
}
