// SPDX-License-Identifier: MIT
import Pomelo

/// Everything that crosses a process boundary in this chat.
///
/// - Source: the contract of the public demos chatofpomelo-websocket and chatofpomelo-plugins, so that their clients
///   work unchanged.
enum ChatAPI {
    static let queryEntry = Call<Hello, Entry>("gate.gateHandler.queryEntry")
    static let enter = Call<Enter, Roster>("connector.entryHandler.enter")
    static let send = Call<Say, Nothing>("chat.chatHandler.send")
    /// Who is in the client's room now; not in the public demos.
    static let list = Call<Nothing, Roster>("chat.chatHandler.list")
    static let admit = Remote<Ticket, Roster>("chat.chatRemote.admit")
    /// What the servers must serve, each its own type's part.
    static let routes = [queryEntry.route, enter.route, send.route, list.route, admit.route]

    static let onAdd = Push<Member>("onAdd")
    static let onLeave = Push<Member>("onLeave")
    static let onChat = Push<Said>("onChat")
    /// Messages may be missing, and the list is to be asked for anew; not in the public demos.
    static let onGap = Push<Nothing>("onGap")

    struct Hello: Body {
        /// A name; JSON, because clients may send anything.
        var uid: JSON?
        /// The type of connector whose address is wanted; not in the public demos.
        var type: JSON?
    }

    struct Entry: Body {
        var code = 200
        var host: String
        var port: Int
        /// Which connector that is, for people; not in the public demos.
        var id: ServerID
        /// True when clients must speak TLS there; not in the public demos.
        var tls: Bool?
    }

    struct Enter: Body {
        var username: JSON?
        var rid: JSON?
    }

    struct Roster: Body {
        var users: [String]
        /// True when a connector did not answer: its guests are those of a moment ago, and are to be asked for again.
        var stale: Bool?
        /// Of one who comes in and was here before; not in the public demos.
        var last: Visit?
    }

    struct Visit: Body, Equatable {
        /// Where the guest was last.
        var room: String
        /// How much it has said until now, wherever.
        var said: Int
    }

    struct Say: Body {
        /// Bytes of `content` as JSON.
        static let contentLimit = 16_384
        /// Bytes of `client_msg_id` as JSON; a longer one is left out.
        static let idLimit = 128

        var content: JSON?
        var target: JSON?
        /// The client's own name for the message, which plugins are told; not in the public demos.
        var client_msg_id: JSON?
    }

    struct Said: Body {
        var msg: JSON
        var from: String
        var target: String
        /// True when a plugin that was to judge it has not; not in the public demos.
        var unmoderated: Bool?
    }

    struct Member: Body { var user: String }

    struct Ticket: Body {
        var uid: UserID
        var rid: ChannelName
        var frontend: ServerID
    }
}

extension ServerType {
    static let gate: Self = "gate"
    static let connector: Self = "connector"
    static let chat: Self = "chat"
}

/// A name in a room; as a user id `name*room`.
struct Guest {
    let name: String
    let room: ChannelName

    var uid: UserID { UserID("\(name)*\(room)") }

    /// Nil unless both are 1–20 scalars without `*` and `:`.
    init?(name: String?, room: String?) {
        guard let name, let room, Self.isValid(name), Self.isValid(room) else { return nil }
        self.name = name
        self.room = ChannelName(room)
    }

    init?(_ uid: UserID) {
        // Among the bytes: the star and a mark that begins the room are one character.
        let parts = uid.rawValue.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        self.init(name: String(Substring(parts[0])), room: String(Substring(parts[1])))
    }

    /// Scalars, because a character may be of any length.
    private static func isValid(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return (1...20).contains(scalars.count) && !scalars.contains { $0 == "*" || $0 == ":" }
    }
}
