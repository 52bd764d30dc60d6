// SPDX-License-Identifier: MIT
import Logging
public import PomeloLoop

/// Hears what happens to an application; every method has a default that does nothing.
///
/// Called in the turn the event happens, in the order listeners were added. Sessions are copies that still tell the
/// user id, also of a session that is gone. Session events happen on frontends only.
///
/// - Source: pomelo 2.2.7, lib/util/events.js; there `unbind_session` had lost the user id already.
@Loop public protocol EventListener: AnyObject {
    /// Servers became routable, or did again as another instance; pomelo's `add_servers`.
    func addServers(_ servers: [ServerRecord])
    /// Servers are gone; carries ids, for a record may not be known any more; pomelo's `remove_servers`.
    func removeServers(_ ids: [ServerID])
    /// The whole view, after changes could not be followed one by one; pomelo's `replace_servers`.
    func replaceServers(_ servers: [ServerRecord])
    /// A session was bound to its `uid`; pomelo's `bind_session`.
    func bindSession(_ session: Session)
    /// A session lost its user; pomelo's `unbind_session`.
    func unbindSession(_ session: Session, from uid: UserID)
    /// A session ended; its `uid` is the last one it had; pomelo's `close_session`.
    func closeSession(_ session: Session, _ end: SessionEnd)
    /// This server serves; pomelo's `start_server`.
    func startServer(_ id: ServerID)
    /// Every server of the configuration is up, the master aside; at most once; pomelo's `start_all`.
    func startAll()
}

extension EventListener {
    /// Does nothing.
    public func addServers(_ servers: [ServerRecord]) {}
    /// Does nothing.
    public func removeServers(_ ids: [ServerID]) {}
    /// Does nothing.
    public func replaceServers(_ servers: [ServerRecord]) {}
    /// Does nothing.
    public func bindSession(_ session: Session) {}
    /// Does nothing.
    public func unbindSession(_ session: Session, from uid: UserID) {}
    /// Does nothing.
    public func closeSession(_ session: Session, _ end: SessionEnd) {}
    /// Does nothing.
    public func startServer(_ id: ServerID) {}
    /// Does nothing.
    public func startAll() {}
}

extension Application {
    /// Adds a listener, which the application keeps.
    public func listen(_ listener: some EventListener) { listeners.append(listener) }

    /// Turns the changes of the view and of the sessions into events.
    func connectEvents() {
        servers.observe { [unowned self] change in
            for listener in listeners {
                switch change {
                case .added(let records): listener.addServers(records)
                case .removed(let ids): listener.removeServers(ids)
                case .replaced(let records): listener.replaceServers(records)
                }
            }
            announceStartOfAll()
        }
        sessionService.on { [unowned self] event in
            guard !listeners.isEmpty else { return }
            switch event {
            case .bound(let session):
                let copy = backendSessionService.copy(of: session)
                for listener in listeners { listener.bindSession(copy) }
            case .unbound(let session, let uid):
                let copy = backendSessionService.copy(of: session)
                for listener in listeners { listener.unbindSession(copy, from: uid) }
            case .closed(let session, let end):
                let copy = backendSessionService.copy(of: session)
                for listener in listeners { listener.closeSession(copy, end) }
            }
        }
    }

    /// Runs the hooks of `afterStartAll`, once, when every configured server is up.
    ///
    /// By the ids that are expected, not by a count: a server that starts twice does not stand for another.
    func announceStartOfAll() {
        guard state == .running, !hasAnnouncedAll else { return }
        let expected = configuration.servers.filter { $0.type != .master }
        guard expected.allSatisfy({ servers[$0.id]?.state == .up }) else { return }
        hasAnnouncedAll = true
        for listener in listeners { listener.startAll() }
        let hooks = hooks.afterStartAll
        Loop.spawn { [log] in
            for hook in hooks {
                do { try await hook() } catch { log.error("afterStartAll failed", metadata: ["error": "\(error)"]) }
            }
        }
    }
}
