// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire

/// What our connector says otherwise than the recorded servers, whatever the recording.
struct SocketRule: Sendable {
    let theirs: String
    let ours: String
    let why: String
    /// Turns what the other server said into what ours says.
    let edit: @Sendable (inout SocketSaid, SocketIORevision) -> Void

    static let all =
        packets + heads + [
            SocketRule(
                theirs:
                    "Engine.IO 3 frames its polls with the lengths in bytes of their own, or as a script tries it out",
                ours: "as text, the length in decimal digits",
                why: "of ASCII all clients count the same, and it can be read"
            ) { said, revision in
                guard revision == .four else { return }
                for index in said.polls.indices {
                    said.polls[index].carry(said.polls[index].packets)
                    said.polls[index].set("Content-Type", "text/plain; charset=UTF-8")
                }
            }
        ]

    static func apply(to said: inout SocketSaid, _ revision: SocketIORevision) {
        for rule in all { rule.edit(&said, revision) }
    }
}

// MARK: packets

extension SocketRule {
    private static let packets = [
        SocketRule(
            theirs: "writes what is beyond ASCII as it is, or as its JSON library does",
            ours: "writes it as \\u escapes",
            why: "all clients read them, whichever way they count"
        ) { said, _ in
            said.changePackets { packet in
                String(
                    packet.flatMap { character in
                        character.isASCII ? String(character) : character.utf16.map(escaped).joined()
                    })
            }
        },
        SocketRule(
            theirs: "the Python servers tell pingTimeout before pingInterval",
            ours: "pingInterval first",
            why: "as socket.io's own server"
        ) { said, _ in
            said.changePackets { packet in
                let fields = packet.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
                guard packet.hasPrefix("0{"), let place = fields.firstIndex(where: { $0.hasPrefix(#""pingTimeout""#) }),
                    place + 1 < fields.count, fields[place + 1].hasPrefix(#""pingInterval""#)
                else { return packet }
                let interval = fields[place + 1]
                let isLast = interval.hasSuffix("}")
                var ours = fields
                ours[place] = isLast ? String(interval.dropLast()) : interval
                ours[place + 1] = fields[place] + (isLast ? "}" : "")
                return ours.joined(separator: ",")
            }
        },
    ]

    private static func escaped(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}

// MARK: heads

extension SocketRule {
    private static let heads = [
        SocketRule(
            theirs: "aiohttp tells the date and its name, and sets a cookie",
            ours: "no header that no client needs",
            why: "bytes, and what is told of a server helps whoever attacks it"
        ) { said, _ in
            said.changeReplies { reply in
                for name in ["Date: ", "Server: ", "Set-Cookie: "] { reply.headers.removeAll { $0.hasPrefix(name) } }
            }
        },
        SocketRule(
            theirs: "leaves unsaid that the connection stays, and writes `upgrade`",
            ours: "says it, and writes `Upgrade`",
            why: "clients of HTTP/1.0 need the first; the second is as RFC 6455 writes it"
        ) { said, _ in
            said.changeReplies { reply in
                if reply.status.hasPrefix("101") {
                    reply.set("Connection", "Upgrade")
                } else if !reply.headers.contains("Connection: close") {
                    reply.set("Connection", "keep-alive")
                }
            }
        },
        SocketRule(
            theirs: "allows credentials to whoever asks",
            ours: "allows them to pages, and says that the answer is that page's",
            why: "programs name no origin; the Fetch Standard asks for Vary"
        ) { said, _ in
            said.changeReplies { reply in
                if reply.headers.contains(where: { $0.hasPrefix("Access-Control-Allow-Origin: ") }) {
                    reply.set("Vary", "Origin")
                } else {
                    reply.headers.removeAll { $0 == "Access-Control-Allow-Credentials: true" }
                }
            }
        },
        SocketRule(
            theirs: "answers a POST with OK, text/plain",
            ours: "with ok, and the character set",
            why: "as socket.io's own server"
        ) { said, _ in
            said.changeReplies { reply in
                guard reply.method == "POST", reply.body == "OK" else { return }
                reply.body = "ok"
                reply.set("Content-Type", "text/plain; charset=UTF-8")
            }
        },
        SocketRule(
            theirs: "refuses what it does not know with a text of its own",
            ours: "with a code and a text as socket.io's own server; and closes where a body is on its way",
            why: "clients and their users know those; what comes behind a refused request is not read"
        ) { said, _ in
            said.changeReplies { reply in
                if reply.body.hasPrefix(#""Invalid session "#) { reply.refuse(1, "Session ID unknown") }
                if reply.body.hasPrefix(#""Invalid transport "#) { reply.refuse(0, "Transport unknown") }
            }
        },
        SocketRule(
            theirs: "agrees to compress with the memory of earlier messages",
            ours: "keeps none of its own messages for it",
            why: "a push that is compressed once serves everybody"
        ) { said, _ in
            said.changeReplies { reply in
                guard reply.headers.contains("Sec-WebSocket-Extensions: permessage-deflate") else { return }
                reply.set("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover")
            }
        },
    ]
}
