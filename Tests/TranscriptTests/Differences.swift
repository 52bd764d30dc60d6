// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloTesting

/// One way in which our server behaves otherwise than the original, on purpose, and the recordings that show it.
///
/// One more holds for every recording and so is in none of them: after a close frame the original waits for the
/// client's own, which the recording client never sends; ours closes the connection.
struct Difference: Sendable {
    let transcripts: [String]
    let original: String
    let ours: String
    let why: String
    /// Turns the recording into what ours does, to the byte.
    let edit: @Sendable (inout Transcript) -> Void

    init(
        _ transcripts: String..., original: String, ours: String, why: String,
        edit: @escaping @Sendable (inout Transcript) -> Void
    ) {
        self.transcripts = transcripts
        self.original = original
        self.ours = ours
        self.why = why
        self.edit = edit
    }

    static let all = requests + bodies + schemas + messages + packages + http

    static func of(_ name: String) -> Difference? { all.first { $0.transcripts.contains(name) } }
}

// MARK: what requests are answered

extension Difference {
    static let requests = [
        Difference(
            "plain-err_routes-tcp", "plain-err_routes-ws",
            original: "answers no request whose route has no dot, is empty, or names __proto__",
            ours: "answers it {\"code\":500}, as any other route that is not served",
            why: "a request without an answer leaves its client waiting for ever"
        ) { transcript in
            transcript.answers(8, .failure(7))
            transcript.answers(9, .failure(8))
            transcript.answers(13, .failure(12))
        },
        Difference(
            "plain-err_throw_local-tcp", "plain-err_throw_local-ws",
            original:
                "answers nothing when a connector's handler throws; the connection is dead from then on",
            ours: "answers {\"code\":500} and goes on",
            why: "an exception is one request's failure; on a backend the original thinks so too"
        ) { transcript in
            transcript.answers(2, .failure(1))
            transcript.answers(3, .echo(2, #""after":1"#))
        },
        Difference(
            "plain-err_next_twice-tcp",
            original: "sends two answers to one request when a handler calls back twice",
            ours: "sends one: a handler returns, and it returns once",
            why: "clients forget a request with its first answer, and some report the second as an error"
        ) { transcript in
            transcript.answers(2, .response(1, #"{"code":200,"n":1}"#))
        },
        Difference(
            "plain-never_local_5s-tcp", "plain-never_local_5s-ws",
            original: "never answers when a handler of the connector never calls back",
            ours: "answers {\"code\":500} at the deadline of 30 s",
            why: "every request is answered once; forwarded ones the original gives up after 30 s too"
        ) { transcript in
            transcript.answers(2, after: 30_000, .failure(1))
        },
        Difference(
            "dict-request_compressed-ws",
            original: "is still answering the last request when the recording ends",
            ours: "answers it",
            why: "nothing differs but the recording, which was cut a millisecond after the request"
        ) { transcript in
            transcript.answers(5, .echo(1, #""uncompressed":1"#))
        },
    ]
}

// MARK: bodies

extension Difference {
    static let bodies = [
        Difference(
            "plain-json_body_array-tcp",
            original: "spreads an array over the handler's arguments, which throws; the connection is dead",
            ours: "answers {\"code\":500} and goes on",
            why: "a body is one object, and clients do not choose a handler's arguments"
        ) { transcript in
            transcript.answers(2, .failure(1))
            transcript.answers(3, .echo(2, #""alive":1"#))
        },
        Difference(
            "plain-json_body_array_forged_session-tcp", "plain-json_body_array_forged_session-ws",
            original: "takes the session from the client's array, and calls it as a function in vain",
            ours: "answers {\"code\":500} and goes on",
            why: "a session must not come from a client"
        ) { transcript in
            transcript.answers(2, .failure(1))
            transcript.answers(3, .echo(2, #""alive":1"#))
        },
        Difference(
            "plain-json_body_number-tcp", "plain-json_body_number-ws", "plain-json_body_string-tcp",
            "plain-json_body_string-ws",
            original: "hands a number or a text to the handler",
            ours: "answers {\"code\":500} before the handler",
            why: "handlers are promised an object, and some clients throw when an answer is none"
        ) { transcript in
            transcript.answers(2, .failure(1))
        },
        Difference(
            "plain-bad_json-tcp",
            original: "is dead from the array on",
            ours: "answers array and number {\"code\":500}, null as {}, and the last request as ever",
            why: "as for each of these bodies alone"
        ) { transcript in
            transcript.answers(4, .failure(3))
            transcript.answers(5, .response(4, #"{"__route__":"connector.entryHandler.echo"}"#))
            transcript.answers(6, .failure(5))
            transcript.answers(7, .echo(1, #""alive":1"#))
        },
        Difference(
            "plain-request_local-ws",
            original: "writes an emoji into JSON as the four bytes of its UTF-8",
            ours: "writes it as two \\u escapes",
            why: "the same text to every JSON reader, and old JavaScript clients garble four-byte sequences"
        ) { transcript in
            transcript.answers(2, .echo(1, #""a":1,"s":"héllo 你好 \ud83d\ude00""#))
        },
    ]
}

// MARK: bodies with a schema

extension Difference {
    static let schemas = [
        Difference(
            "dictproto-bad_protobuf-tcp",
            original: "throws at a body that is no message of its schema; the connection is dead from then on",
            ours: "answers it 500, as its schema says that, skips a field that is told its length, and goes on",
            why: "a request without an answer leaves its client waiting for ever"
        ) { transcript in
            for index in [2, 3, 5, 6, 7] { transcript.answers(index, .failureBySchema(1)) }
            transcript.answers(4, .message([4, 1, 8, 0xC8, 1]))
            transcript.answers(8, .echo(1, #""alive":1"#))
        },
        Difference(
            "dictproto-json_on_proto_route-tcp", "dictproto-json_on_proto_route-ws",
            original: "throws at JSON where a message is to be; the connection is dead from then on",
            ours: "answers it 500, as its schema says that, and goes on",
            why: "a request without an answer leaves its client waiting for ever"
        ) { transcript in
            transcript.answers(2, .failureBySchema(1))
            transcript.answers(3, .echo(1, #""alive":1"#))
        },
    ]
}

// MARK: messages

extension Difference {
    static let messages = [
        Difference(
            "plain-compressed_without_dict-ws",
            original: "drops a request whose route is a code, when there is no dictionary",
            ours: "answers it {\"code\":500}",
            why: "a request without an answer leaves its client waiting for ever"
        ) { transcript in
            transcript.answers(2, .failure(1))
        },
        Difference(
            "dict-unknown_code-ws",
            original: "drops a request whose route code is not in the dictionary",
            ours: "answers it {\"code\":500}",
            why: "a request without an answer leaves its client waiting for ever"
        ) { transcript in
            transcript.answers(2, .failure(1))
            transcript.answers(3, .failure(1))
        },
        Difference(
            "plain-bad_empty_data_pkg-tcp", "plain-bad_empty_data_pkg-ws",
            original: "throws at a message of no bytes; the connection stays open, and dead",
            ours: "closes",
            why: "a broken message means a broken client, and a dead connection helps nobody"
        ) { transcript in
            transcript.closes(in: 2)
        },
        Difference(
            "plain-bad_truncated_message_id-tcp",
            original: "throws at a request id that does not end; the connection stays open, and dead",
            ours: "closes at the first",
            why: "a broken message means a broken client, and a dead connection helps nobody"
        ) { transcript in
            transcript.closes(in: 2)
        },
        Difference(
            "plain-zz_hang_request_id_2pow31-tcp", "plain-zz_notify_like_hang_negative-tcp",
            "plain-zz_notify_like_hang_negative-ws",
            original: "loops for ever over a request id beyond 2^31-1, and serves nobody any more",
            ours: "closes the connection and serves the others",
            why: "one client must not stop a server"
        ) { transcript in
            transcript.closes(in: 2)
        },
    ]
}

// MARK: packages

extension Difference {
    static let packages = [
        Difference(
            "plain-bad_two_packages_one_chunk-ws",
            original: "closes at a frame that holds more than one package",
            ours: "reads them all",
            why: "the original sends such frames itself; over TCP it reads them too"
        ) { transcript in
            transcript.answers(2, .echo(1, #""a":1"#), .echo(2, #""a":2"#))
            transcript.keepsOpen()
        },
        Difference(
            "plain-bad_trailing_garbage-ws",
            original: "takes half a head at a frame's end for an empty package, and drops the frame",
            ours: "closes",
            why: "a frame ends with a package, so this client is broken"
        ) { transcript in
            transcript.closes(in: 2)
        },
        Difference(
            "plain-bad_dribble-ws", "plain-bad_oversize_first-ws",
            original: "fills a package longer than its frame with what its memory holds, and reads that",
            ours: "closes, without an answer to a handshake that was not all there",
            why: "memory's remains are nobody's message"
        ) { transcript in
            transcript.closes(in: 0)
        },
        Difference(
            "plain-bad_oversize_length-tcp",
            original: "sets 16 MiB aside for whoever announces them, and waits",
            ours: "closes when a package is announced that is over the limit",
            why: "four bytes must not cost a server 16 MiB"
        ) { transcript in
            transcript.closes(in: 2)
        },
    ]
}

// MARK: HTTP

extension Difference {
    private static let healthy = Bytes(
        """
        HTTP/1.1 200 OK\r
        Content-Type: text/plain; charset=UTF-8\r
        Cache-Control: no-store\r
        Content-Length: 3\r
        Connection: close\r
        \r
        OK

        """.utf8)

    static let http = [
        Difference(
            "plain-bad_http_plain_get-tcp",
            original: "does not answer a plain HTTP request",
            ours: "answers 200 and closes",
            why: "a health check should learn that the server serves"
        ) { transcript in
            transcript.answers(0, healthy)
            transcript.closes(in: 0)
        },
        Difference(
            "plain-bad_http_split_get-tcp",
            original: "takes the first letter of a method that comes in pieces for a bad package, and closes",
            ours: "waits for the method's other letters, then answers 200 and closes",
            why: "TCP cuts where it likes: a WebSocket must open however its request arrives"
        ) { transcript in
            transcript.answers(1, healthy)
            transcript.closes(in: 1)
        },
    ]
}

// MARK: edits

extension Transcript {
    /// These bytes come back for one write, and no others.
    fileprivate mutating func answers(_ index: Int, after milliseconds: Int = 0, _ packages: Bytes...) {
        let at = exchanges[index].at + milliseconds
        exchanges[index].answers = packages.map { Answer(at: at, bytes: $0) }
        endsAt = max(endsAt, at)
    }

    /// The server closes after this write; what the client writes later goes nowhere.
    fileprivate mutating func closes(in index: Int) {
        ending = .closed(code: transport == .webSocket ? 1000 : nil)
        closesIn = index
        closesAt = exchanges[index].at
        if transport == .webSocket { exchanges[index].answers = [] }
        for later in exchanges.indices.dropFirst(index + 1) { exchanges[later].answers = [] }
    }

    /// The server does not close.
    fileprivate mutating func keepsOpen() {
        ending = .keptOpen
        closesIn = nil
    }
}

/// Written out here, so that the encoder under test does not judge itself.
extension Bytes {
    /// A package of type 4 with a response in it; ids up to 127.
    static func response(_ id: UInt8, _ body: String) -> Bytes {
        [4, 0, 0, UInt8(2 + body.utf8.count), 4, id] + Bytes(body.utf8)
    }

    fileprivate static func message(_ bytes: Bytes) -> Bytes { [4, 0, 0, UInt8(bytes.count)] + bytes }

    /// `{"code":500}` of a schema whose first tag is that of the code.
    fileprivate static func failureBySchema(_ id: UInt8) -> Bytes { message([4, id, 8, 0xF4, 3]) }

    fileprivate static func failure(_ id: UInt8) -> Bytes { response(id, #"{"code":500}"#) }

    fileprivate static func echo(_ id: UInt8, _ member: String) -> Bytes {
        response(id, "{\(member),\"__route__\":\"connector.entryHandler.echo\"}")
    }
}
