// SPDX-License-Identifier: MIT
public import PomeloJSON
public import PomeloLoop

/// A task of administration that every server it is registered on can be asked for: what is slow, who is online.
///
/// A module runs on its own process; what it finds it can tell to the master, where the same module takes it.
///
/// - Source: pomelo 2.2.7, `app.registerAdmin`, and the module shape of pomelo-admin 1.0.1; a module of kind push is
///   one with an `interval`.
@Loop public protocol AdminModule: AnyObject {
    /// Unique in its application, the same on every server that has this module.
    var moduleID: String { get }
    /// How often `monitorHandler` is called without being asked; nil: never.
    var interval: Duration? { get }
    /// Called once, when the application's components have started.
    func start(_ agent: AdminAgent) async throws
    /// Answers a request, or runs by the interval, when the message is null; what it returns then is not used.
    func monitorHandler(_ message: JSON) async throws -> JSON
    /// On the master: takes what a server tells.
    func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON
    /// Called once, when the application stops.
    func stop()
}

extension AdminModule {
    /// Never by itself.
    public var interval: Duration? { nil }
    /// Does nothing.
    public func start(_ agent: AdminAgent) async throws {}
    /// Answers `{}`.
    public func monitorHandler(_ message: JSON) async throws -> JSON { [:] }
    /// Answers `{}`.
    public func masterHandler(_ message: JSON, from server: ServerID) async throws -> JSON { [:] }
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
}
