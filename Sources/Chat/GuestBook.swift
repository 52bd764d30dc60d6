// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel
import PomeloRedis
import PomeloSync
import PomeloSyncSQLite

/// What `guests.json` says.
struct GuestOptions: FileOptions, Codable, Equatable {
    static let fileName = "guests"
    /// The file of SQLite in which guests are remembered; without one nobody is.
    var file: String?
}

extension SyncKey<ChatAPI.Visit> {
    /// Of a guest by its name.
    static let guest = SyncKey("guest")
}

/// What outlives every process: where each guest was last, and how much it has said.
///
/// The server of a room has its guests in memory, has changes written in the background, and a guest's last one as soon
/// as it leaves: what is read from the file, when it comes again, is what was written. A game keeps its players so.
@Loop final class GuestBook {
    /// Guests that are in memory; what further ones do is not noted.
    private static let limit = 10_000
    private let file: SQLiteSyncSink
    private let sync: SyncService
    private let log: Logger
    private var visits: [Text: ChatAPI.Visit] = [:]

    private init(_ file: SQLiteSyncSink, _ app: Application) {
        self.file = file
        sync = app.sync
        log = app.log
    }

    /// The book of a server of rooms; nil where nobody is remembered.
    static func open(_ app: Application, _ redis: RedisClient) throws -> GuestBook? {
        guard let path = try app.options(GuestOptions()).file else { return nil }
        let file = try SQLiteSyncSink(path, [SQLTable(.guest)])
        app.beforeStartup { try await file.migrate() }
        var options = SyncOptions()
        options.interval = .seconds(5)
        options.stop = .seconds(8)
        try app.use(Sync(redis: redis, options: options) { sinks in sinks.map(.guest, to: file) })
        let book = GuestBook(file, app)
        app.globalChannel.onGone { gone in
            for guest in gone.uids.compactMap(Guest.init) { await book.left(guest) }
        }
        return book
    }

    /// Notes that a guest has come in, and returns what was noted of it before.
    func entered(_ guest: Guest) async -> ChatAPI.Visit? {
        await change(guest) { $0.room = guest.room.rawValue }
    }

    /// Notes that a guest has said something.
    func said(_ guest: Guest) async {
        _ = await change(guest) { $0.said += 1 }
    }

    /// Chat goes on without its book: what cannot be read or noted is no guest's concern.
    private func change(_ guest: Guest, _ body: (inout ChatAPI.Visit) -> Void) async -> ChatAPI.Visit? {
        let name = Text(guest.name)
        do {
            if visits[name] == nil {
                guard visits.count < Self.limit else { return nil }
                let kept = try await file.value(of: .guest, guest.name)
                // Another message may have come while this one waited.
                visits[name] = visits[name] ?? kept
            }
            let before = visits[name]
            var visit = before ?? ChatAPI.Visit(room: guest.room.rawValue, said: 0)
            body(&visit)
            try note(visit, of: name)
            return before
        } catch {
            log.warning("a guest is not remembered", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Nobody waits for the journal: a count is not worth the time. (An `async` function calls the `exec` that waits.)
    private func note(_ visit: ChatAPI.Visit, of name: Text) throws {
        visits[name] = visit
        try sync.exec(.guest, name.string, visit)
    }

    private func left(_ guest: Guest) async {
        let name = Text(guest.name)
        guard let visit = visits[name] else { return }
        do {
            try await sync.flush(.guest, guest.name, visit)
            // One who has come in again meanwhile is in memory on.
            if visits[name] == visit { visits[name] = nil }
        } catch {
            log.warning("a guest who left is not written yet", metadata: ["error": "\(error)"])
        }
    }
}
