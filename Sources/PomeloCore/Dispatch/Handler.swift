// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
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
    typealias Answer = @Loop @Sendable (_ body: Bytes, _ session: Session) async throws -> Bytes

    enum Kind {
        case call(Answer)
        case remote(Answer)
        case cron(CronService.Job)
    }

    let route: Route
    let kind: Kind
}

extension Handler {
    /// Serves a client call with a typed method.
    ///
    /// A body that is no JSON object is refused before the method; `null` and text that does not parse count as `{}`.
    public func on<Query, Reply>(
        _ call: Call<Query, Reply>, _ method: @escaping @Loop @Sendable (Query, Session) async throws -> Reply
    ) -> ServedRoute {
        ServedRoute(
            route: call.route,
            kind: .call { body, session in
                try JSONCoder.encode(try await method(try RequestBody.decode(Query.self, from: body), session))
            })
    }

    /// Serves a client call with the body as JSON; as in pomelo the object also carries `__route__`.
    public func on(
        json route: String, _ method: @escaping @Loop @Sendable (JSON, Session) async throws -> JSON
    ) -> ServedRoute {
        ServedRoute(
            route: Route(route),
            kind: .call { body, session in
                var object = try RequestBody.object(from: body)
                object["__route__"] = .string(route)
                return try await method(.object(object), session).encoded()
            })
    }

    /// Serves a client call with the bytes as they came; nothing is decoded.
    public func on(
        raw route: String, _ method: @escaping @Loop @Sendable (Bytes, Session) async throws -> Bytes
    ) -> ServedRoute {
        ServedRoute(route: Route(route), kind: .call(method))
    }

    /// Serves a call of other servers with a typed method.
    public func on<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ method: @escaping @Loop @Sendable (Query) async throws -> Reply
    ) -> ServedRoute {
        ServedRoute(
            route: remote.route,
            kind: .remote { body, _ in
                try JSONCoder.encode(try await method(try JSONCoder.decode(Query.self, from: body)))
            })
    }

    /// Serves a call of other servers with JSON.
    public func on(
        remote route: String, _ method: @escaping @Loop @Sendable (JSON) async throws -> JSON
    ) -> ServedRoute {
        ServedRoute(route: Route(route), kind: .remote { body, _ in try await method(try JSON.parse(body)).encoded() })
    }

    /// Serves the crons whose `action` is this: a file and a method, such as `chatCron.sendMoney`.
    public func on(cron action: String, _ job: @escaping CronService.Job) -> ServedRoute {
        ServedRoute(route: Route(action), kind: .cron(job))
    }
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
