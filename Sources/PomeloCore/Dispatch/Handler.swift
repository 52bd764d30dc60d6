// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
public import PomeloLoop

/// A group of routes that share what their methods need.
///
/// ```swift
/// struct ChatHandler: Handler {
///     let app: Application
///     var routes: [ServedRoute] { on(ChatAPI.send, send) }
///     func send(_ say: ChatAPI.Say, _ session: Session) async throws -> Nothing { … }
/// }
/// ```
///
/// A method that is not `async` is served without a task, which costs more than most methods; in the same order.
@Loop public protocol Handler {
    /// Everything the group serves, read once by `Application.handle`.
    @RouteList var routes: [ServedRoute] { get }
}

/// Lists routes, one `on` a line.
@resultBuilder public enum RouteList {
    /// Collects the lines of the list, in their order.
    public static func buildBlock(_ routes: ServedRoute...) -> [ServedRoute] { routes }
}

/// One route and what answers it.
@Loop public struct ServedRoute {
    /// What answers a client's call.
    enum Answer {
        case synchronous(@Loop @Sendable (_ body: Bytes, _ session: Session) throws -> Bytes)
        case asynchronous(@Loop @Sendable (_ body: Bytes, _ session: Session) async throws -> Bytes)
    }

    /// What answers a call of another server.
    typealias RemoteAnswer = @Loop (_ body: Bytes) -> ProcedureTable.Work

    enum Kind {
        case call(Answer)
        case remote(RemoteAnswer)
        case cron(CronService.Job)
    }

    let route: Route
    let kind: Kind
}

/// The rules for a client's body: what pomelo accepts, without its traps.
enum RequestBody {
    /// `{}` for `null` and for text that does not parse; throws `Fault` 500 for other JSON that is no object.
    static func object(from body: Bytes) throws -> JSONObject {
        guard case .success(let json) = Result(catching: { () throws(WireError) in try JSON.parse(body) }) else {
            return JSONObject()
        }
        switch json {
        case .object(let object): return object
        case .null: return JSONObject()
        default: throw Fault(500)
        }
    }

    /// What a handler of JSON gets: the object and its route.
    static func json(from body: Bytes, of route: String) throws -> JSON {
        var object = try object(from: body)
        object["__route__"] = .string(route)
        return .object(object)
    }

    /// Decodes a typed query; the fast path reads an object straight into the type.
    static func decode<Query: Decodable>(_ type: Query.Type, from body: Bytes) throws -> Query {
        let first = body.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        if first == UInt8(ascii: "{") {
            do {
                return try JSONCoder.decode(type, from: body)
            } catch DecodingError.dataCorrupted(let context) where context.underlyingError is WireError {
                return try JSONCoder.decode(type, from: .object(JSONObject()))
            }
        }
        return try JSONCoder.decode(type, from: .object(try object(from: body)))
    }
}
