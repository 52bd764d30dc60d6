// SPDX-License-Identifier: MIT
public import PomeloJSON

/// An error whose code, and message, the client may see: answered as `{"code":c,"message":m}`.
///
/// Any other error thrown by a handler is answered as exactly `{"code":500}` and logged.
public struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The reply's `code`; not sent when there is a `body`.
    public let code: Int
    /// The reply's `message`, if it has one.
    public let message: String?
    /// Sent as is, in place of code and message.
    public let body: JSON?

    /// Codes 0–399 are reserved, 400–599 as in HTTP, from 1000 the application's own.
    public init(_ code: Int, _ message: String? = nil) {
        self.code = code
        self.message = message
        body = nil
    }

    /// An error with a reply body of the application's own shape.
    public init(body: JSON) {
        code = 500
        message = nil
        self.body = body
    }

    /// Code and message, for logs.
    public var description: String { "fault \(code)\(message.map { ": \($0)" } ?? "")" }

    /// The body sent to the client.
    public var reply: JSON {
        if let body { return body }
        guard let message else { return ["code": .int(Int64(code))] }
        return ["code": .int(Int64(code)), "message": .string(message)]
    }
}

extension Fault {
    /// The fault that an error is: itself, or one of a remote.
    package init?(_ error: any Error) {
        if let fault = error as? Fault {
            self = fault
        } else if case RPCError.fault(let code, let message) = error {
            self.init(code, message.isEmpty ? nil : message)
        } else {
            return nil
        }
    }
}

/// What went wrong in the framework, for the application's developer.
public struct PomeloError: Error, Sendable, CustomStringConvertible {
    /// A stable name of the kind of error; new ones may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, the same in every release.
        public let description: String
        /// A file, key or argument is missing, unknown or of the wrong kind.
        public static let configuration = Code("configuration")
        /// The call needs a started application.
        public static let notRunning = Code("notRunning")
        /// No such session; it may just have closed.
        public static let noSession = Code("noSession")
        /// The session or user is bound already, or not to this user.
        public static let binding = Code("binding")
        /// The server id is not in the cluster's view.
        public static let unknownServer = Code("unknownServer")
        /// The call needs a server that clients connect to.
        public static let notAFrontend = Code("notAFrontend")
        /// The server has been started anew: what was meant ended with its former instance.
        public static let replaced = Code("replaced")
        /// A peer did not answer; `cause` says whether it may have executed.
        public static let unreachable = Code("unreachable")
        /// A peer took the connection, or may have, and said nothing.
        public static let noAnswer = Code("noAnswer")
        /// Nobody can say now whether a user is online: a server that may know does not answer.
        public static let presenceUnknown = Code("presenceUnknown")
        /// Redis is away and the call cannot do without.
        public static let redisUnavailable = Code("redisUnavailable")
        /// A value could not be encoded or decoded.
        public static let encoding = Code("encoding")
        /// A bound was reached.
        public static let overloaded = Code("overloaded")
        /// A port could not be opened, or a name not be resolved.
        public static let network = Code("network")

        static let all: [Code] = [
            .configuration, .notRunning, .noSession, .binding, .unknownServer, .notAFrontend, .replaced, .unreachable,
            .noAnswer, .presenceUnknown, .redisUnavailable, .encoding, .overloaded, .network,
        ]

        init(_ description: String) { self.description = description }
    }

    /// The kind of error, to be acted on.
    public let code: Code
    /// What went wrong and where, to be read.
    public let message: String
    /// The error underneath, when there was one.
    public let cause: (any Error)?

    /// Framework and plugins make these; applications usually throw `Fault`.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message.
    public var description: String { message }

    /// The error that a peer told as the text of `RPCError.failed`; of the kind `code` when the text names none.
    public init(wire text: String, otherwise code: Code, at place: String = "") {
        let place = place.isEmpty ? "" : place + ": "
        for known in Code.all {
            let start = "\(known): ".utf8
            guard text.utf8.starts(with: start) else { continue }
            self.init(known, place + String(Substring(text.utf8.dropFirst(start.count))))
            return
        }
        self.init(code, place + text)
    }

    /// The kind and the message as they travel.
    package var wireText: String { "\(code): \(message)" }
}

/// The outcome of a call to another server that brought no reply.
public enum RPCError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It never left this process: safe to retry.
    case notSent(String)
    /// It left, and no answer came: it may have been executed.
    case maybeExecuted(String)
    /// The peer answered with an error; `code` is the peer's, 500 when it has none.
    case failed(code: Int, message: String)
    /// The method there threw a `Fault`; a handler that does not catch this answers its client with it.
    case fault(code: Int, message: String)
    /// The peer does not serve the procedure, being of another version or without the plugin: it was not executed.
    case unimplemented(String)

    /// What a procedure answers that was not begun because nobody waited for it any more.
    public static let late = RPCError.failed(code: 504, message: "given up before it began")

    /// Whether the peer refused, because another start of it was meant.
    public var isReplaced: Bool {
        guard case .failed(_, let message) = self else { return false }
        return PomeloError(wire: message, otherwise: .unreachable).code == .replaced
    }

    /// The error as the caller of a procedure hears it that threw it: what became of a further call is not what became
    /// of this one.
    package var ofFurtherCall: RPCError {
        switch self {
        case .failed, .fault: self
        case .notSent, .maybeExecuted, .unimplemented: .failed(code: 500, message: description)
        }
    }

    /// Which of the outcomes it was, and why.
    public var description: String {
        switch self {
        case .notSent(let reason): "not sent: \(reason)"
        case .maybeExecuted(let reason): "no answer (may have executed): \(reason)"
        case .failed(let code, let message): "failed with \(code): \(message)"
        case .fault(let code, let message): "fault \(code)\(message.isEmpty ? "" : ": " + message)"
        case .unimplemented(let what): "not served there: \(what)"
        }
    }
}
