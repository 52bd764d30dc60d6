// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// A frontend's word to other servers: which of the users they ask about have no session here, now or later.
///
/// ```
/// session.watch   a watch list of the server that asks                      → uids without a session, texts
/// channel.ended   its users whose last session has ended, to that server    → empty
/// ```
///
/// - Guarantee: who watches a user with a session here hears of the end of the last one, at least once, while both
///   servers live. Only users with a session are kept, so the watchers are bounded by them.
@Loop final class SessionWatch: SessionObserver {
    /// One start of a server that asked.
    private final class Watcher {
        let instance: InstanceID
        let notifier: WatchNotifier
        var users: [UserID: UInt64] = [:]

        init(_ instance: InstanceID, _ notifier: WatchNotifier) {
            self.instance = instance
            self.notifier = notifier
        }
    }

    /// Has the sessions that this observes.
    private unowned let context: ServiceContext
    private var watchers: [ServerID: Watcher] = [:]
    /// Told here, at once.
    var ended: @Loop (UserID) -> Void = { _ in }

    init(_ context: ServiceContext) {
        self.context = context
        context.sessions.addObserver(self)
        context.servers.observe { [weak self] change in self?.follow(change) }
        context.procedures.immediate(.sessionWatch, addressed: true) { [unowned self] caller, payload in
            self.watch(try WatchList(payload), for: caller)
        }
    }

    func stop() {
        for server in Array(watchers.keys) { forget(server) }
    }

    private func watch(_ list: WatchList, for caller: RPCCaller) -> Bytes {
        let watcher = watcher(caller.server, caller.instance)
        var absent: [String] = []
        for (uid, generation) in list.users {
            if context.sessions.get(byUid: uid).isEmpty {
                absent.append(uid.rawValue)
            } else {
                watcher.users[uid] = max(generation, watcher.users[uid] ?? 0)
            }
        }
        var reply = PayloadWriter()
        reply.texts(absent)
        return reply.bytes
    }

    private func watcher(_ server: ServerID, _ instance: InstanceID) -> Watcher {
        if let known = watchers[server], known.instance == instance { return known }
        forget(server)
        let notifier = WatchNotifier(context, to: server, .channelEnded, instance)
        notifier.gaveUp = { [weak self] in self?.forget(server) }
        let watcher = Watcher(instance, notifier)
        watchers[server] = watcher
        return watcher
    }

    private func forget(_ server: ServerID) { watchers.removeValue(forKey: server)?.notifier.stop() }

    /// A server that is gone, or has started anew, has no channels of before.
    private func follow(_ change: ServerChange) {
        switch change {
        case .removed(let ids):
            for id in ids { forget(id) }
        case .added(let records):
            for record in records where watchers[record.id]?.instance != context.servers[record.id]?.instance {
                forget(record.id)
            }
        case .replaced: break
        }
    }

    // MARK: SessionObserver

    func bound(_ session: ClientSession, to uid: UserID) {}

    func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        guard last else { return }
        ended(uid)
        for watcher in watchers.values {
            if let generation = watcher.users.removeValue(forKey: uid) { watcher.notifier.send(uid, generation) }
        }
    }
}
