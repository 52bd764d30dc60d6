// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloLoop
import PomeloPublication

/// Who is online and where, pushes to users wherever they are, and one identity in the whole cluster.
///
/// - Source: pomelo-status-plugin 0.0.4, lib/service/statusService.js; also on `unbind`, and with a lease.
@Loop public final class StatusService: Component, SessionObserver {
    /// `status`.
    public let name = StatusService.serviceName
    /// How servers that have it announce it.
    static let serviceName = "status"
    let context: ServiceContext
    let store: any StatusStore
    let published: StatusPublisher
    /// Publishes status in the background.
    let writer: WriteBehind
    private let options: Status.Options
    let places: Places

    init(_ context: ServiceContext, _ store: any StatusStore, _ options: Status.Options) {
        self.context = context
        self.store = store
        self.options = options
        published = StatusPublisher(context.sessions, store, mayHoldUsers: context.isFrontend)
        places = Places(context, store)
        writer = WriteBehind(published, of: context)
        context.sessions.addObserver(self)
        context.membership?.addPublisher(places)
        context.membership?.addPublisher(writer)
        context.membership?.addCleaner(self)
        if options.singleSession == .refuse {
            context.sessions.authority = self
            published.reclaim = { [unowned self] uid, isTaken in try await self.reclaim(uid, isTaken: isTaken) }
            published.holder = { [unowned self] uid in
                context.sessions.get(byUid: uid).first.map { self.holder($0.id) }
            }
        }
        context.procedures.immediate(.statusHolds, addressed: true) { [unowned self] _, payload in
            var reader = PayloadReader(payload)
            let uid = UserID(try reader.text())
            return [self.holds(uid, SessionID(try reader.number())) ? 1 : 0]
        }
    }

    /// Users whose status is not yet published.
    public var backlog: Int { published.count }

    /// Starts the store.
    ///
    /// - Throws: what the store throws.
    public func start() async throws {
        try await store.start(context.owner)
        places.beginDoubt()
    }

    /// Cleans the store when the options say so, and begins to publish at a frontend: not before what a former instance
    /// has left was removed.
    ///
    /// - Throws: what the store throws.
    public func afterStart() async throws {
        if options.cleanOnStartUp { try await store.clean() }
        if context.isFrontend { writer.start() }
    }

    /// Publishes what is left, once, and nothing further.
    public func stop() async { await writer.stop() }

    // MARK: sessions

    /// Notes that a user has a session here; the store is told in the background.
    public func bound(_ session: ClientSession, to uid: UserID) { changed(uid) }

    /// Notes that a user has no session here any more, when it was the last.
    public func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        if last { changed(uid) }
    }

    func changed(_ uid: UserID) {
        published.note(uid)
        writer.kick()
    }
}

extension StatusService: LeaseCleaner {
    /// Removes what a gone server had published.
    ///
    /// - Throws: what the store and `proceed` throw; then it is to be called again.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await store.cleanUp(server, instance: instance, proceed: proceed)
    }
}

/// The numbers of this room.
extension Procedure {
    static let statusHolds = Procedure(96, "status.holds")
    static let statusHere = Procedure(97, "status.here")
}
