// SPDX-License-Identifier: MIT
import PomeloLoop

/// What an application does at the turning points of its life, beside its components.
///
/// - Source: pomelo 2.2.7, lifecycle.js of a server type; `beforeStopHook` is the older name of `beforeShutdown`.
@Loop struct LifecycleHooks {
    typealias Hook = @Loop @Sendable () async throws -> Void

    var beforeStartup: [Hook] = []
    var afterStartup: [Hook] = []
    var beforeShutdown: [Hook] = []
    var afterStartAll: [Hook] = []
}

extension Application {
    /// Runs before the first component starts; an error ends the start.
    public func beforeStartup(_ hook: @escaping @Loop @Sendable () async throws -> Void) {
        hooks.beforeStartup.append(hook)
    }

    /// Runs when the server serves; an error stops it again.
    public func afterStartup(_ hook: @escaping @Loop @Sendable () async throws -> Void) {
        hooks.afterStartup.append(hook)
    }

    /// Runs before anything is stopped, clients still connected, in reverse order of registration.
    ///
    /// A server that never came to serve has nothing to shut down: after a start that failed before its `afterStartup`
    /// hooks these hooks do not run, so none of them saves what was never loaded.
    ///
    /// An error is logged; `Limits.stopPhase` bounds each hook, so a longer save needs that limit raised.
    public func beforeShutdown(_ hook: @escaping @Loop @Sendable () async throws -> Void) {
        hooks.beforeShutdown.append(hook)
    }

    /// Runs once every server of the configuration is up, the master aside; an error is logged.
    public func afterStartAll(_ hook: @escaping @Loop @Sendable () async throws -> Void) {
        hooks.afterStartAll.append(hook)
    }
}
