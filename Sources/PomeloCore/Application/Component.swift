// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A part of an application with a life of its own; every hook has a default that does nothing.
///
/// Hooks of one kind run one after the other, in the order the components were loaded; `willStop` and `stop` in the
/// reverse order. An error of a starting hook stops those that were started, and `start` of the application throws.
@Loop public protocol Component: AnyObject {
    /// Unique in its application.
    var name: String { get }
    /// Prepares: connects, loads, joins. The RPC port is open; clients are not.
    func start() async throws
    /// Everybody has started; the client port opens after the last of these.
    func afterStart() async throws
    /// Clients can connect.
    func didStart() async throws
    /// The application is about to stop; clients are still connected.
    func willStop() async
    /// Clients are gone.
    func stop() async
    /// How long `willStop` and `stop` may take, each; nil: `Limits.stopPhase`.
    var stopDeadline: Duration? { get }
}

extension Component {
    /// Does nothing.
    public func start() async throws {}
    /// Does nothing.
    public func afterStart() async throws {}
    /// Does nothing.
    public func didStart() async throws {}
    /// Does nothing.
    public func willStop() async {}
    /// Does nothing.
    public func stop() async {}
    /// As the application's limits say.
    public var stopDeadline: Duration? { nil }
}
