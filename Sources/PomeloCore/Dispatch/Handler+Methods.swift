// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON
import PomeloLoop

/// Methods that may await.
extension Handler {
    /// Serves a client call with a typed method.
    ///
    /// A body that is no JSON object is refused before the method; `null` and text that does not parse count as `{}`.
    @_disfavoredOverload
    public func on<Query, Reply>(
        _ call: Call<Query, Reply>, _ method: @escaping @Loop @Sendable (Query, Session) async throws -> Reply
    ) -> ServedRoute {
        .call(
            call,
            .asynchronous { body, session in
                try JSONCoder.encode(try await method(try RequestBody.decode(Query.self, from: body), session))
            })
    }

    /// Serves a client call with the body as JSON; as in pomelo the object also carries `__route__`.
    public func on(
        json route: String, _ method: @escaping @Loop @Sendable (JSON, Session) async throws -> JSON
    ) -> ServedRoute {
        .call(
            Route(route),
            .asynchronous { body, session in
                try await method(try RequestBody.json(from: body, of: route), session).encoded()
            })
    }

    /// Serves a client call with the bytes as they came; nothing is decoded.
    public func on(
        raw route: String, _ method: @escaping @Loop @Sendable (Bytes, Session) async throws -> Bytes
    ) -> ServedRoute {
        .call(Route(route), .asynchronous(method))
    }

    /// Serves a call of other servers with a typed method.
    @_disfavoredOverload
    public func on<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ method: @escaping @Loop @Sendable (Query) async throws -> Reply
    ) -> ServedRoute {
        .remote(remote) { body in
            .asynchronous { try JSONCoder.encode(try await method(try JSONCoder.decode(Query.self, from: body))) }
        }
    }

    /// Serves a call of other servers with JSON.
    public func on(
        remote route: String, _ method: @escaping @Loop @Sendable (JSON) async throws -> JSON
    ) -> ServedRoute {
        .remote(Route(route)) { body in .asynchronous { try await method(try JSON.parse(body)).encoded() } }
    }

    /// Serves the crons whose `action` is this: a file and a method, such as `chatCron.sendMoney`.
    public func on(cron action: String, _ job: @escaping CronService.Job) -> ServedRoute {
        ServedRoute(route: Route(action), kind: .cron(job))
    }
}

/// Methods that do not await: each runs at its turn, without a task and outside every callback of a socket.
///
/// Within filters it runs in their task. As long as it runs nothing else does, as ever on the loop.
extension Handler {
    /// Serves a client call with a typed method.
    ///
    /// A body that is no JSON object is refused before the method; `null` and text that does not parse count as `{}`.
    @_disfavoredOverload
    public func on<Query, Reply>(
        _ call: Call<Query, Reply>, _ method: @escaping @Loop @Sendable (Query, Session) throws -> Reply
    ) -> ServedRoute {
        .call(
            call,
            .synchronous { body, session in
                try JSONCoder.encode(try method(try RequestBody.decode(Query.self, from: body), session))
            })
    }

    /// Serves a client call with the body as JSON; as in pomelo the object also carries `__route__`.
    public func on(
        json route: String, _ method: @escaping @Loop @Sendable (JSON, Session) throws -> JSON
    ) -> ServedRoute {
        .call(
            Route(route),
            .synchronous { body, session in
                try method(try RequestBody.json(from: body, of: route), session).encoded()
            })
    }

    /// Serves a client call with the bytes as they came; nothing is decoded.
    public func on(
        raw route: String, _ method: @escaping @Loop @Sendable (Bytes, Session) throws -> Bytes
    ) -> ServedRoute {
        .call(Route(route), .synchronous(method))
    }

    /// Serves a call of other servers with a typed method.
    @_disfavoredOverload
    public func on<Query, Reply>(
        _ remote: Remote<Query, Reply>, _ method: @escaping @Loop @Sendable (Query) throws -> Reply
    ) -> ServedRoute {
        .remote(remote) { body in
            .synchronous { try JSONCoder.encode(try method(try JSONCoder.decode(Query.self, from: body))) }
        }
    }

    /// Serves a call of other servers with JSON.
    public func on(
        remote route: String, _ method: @escaping @Loop @Sendable (JSON) throws -> JSON
    ) -> ServedRoute {
        .remote(Route(route)) { body in .synchronous { try method(try JSON.parse(body)).encoded() } }
    }
}

/// Methods that return nothing, of calls and remotes whose reply is `Nothing`.
///
/// They are favoured: a closure without `return` would pass for one whose reply is missing.
extension Handler {
    /// Serves a client call with a typed method; the answer is `{}`.
    public func on<Query>(
        _ call: Call<Query, Nothing>, _ method: @escaping @Loop @Sendable (Query, Session) async throws -> Void
    ) -> ServedRoute {
        on(call) { query, session async throws in
            try await method(query, session)
            return Nothing()
        }
    }

    /// Serves a client call with a typed method that does not await; the answer is `{}`.
    public func on<Query>(
        _ call: Call<Query, Nothing>, _ method: @escaping @Loop @Sendable (Query, Session) throws -> Void
    ) -> ServedRoute {
        on(call) { query, session throws in
            try method(query, session)
            return Nothing()
        }
    }

    /// Serves a call of other servers with a typed method; the answer is `{}`.
    public func on<Query>(
        _ remote: Remote<Query, Nothing>, _ method: @escaping @Loop @Sendable (Query) async throws -> Void
    ) -> ServedRoute {
        on(remote) { query async throws in
            try await method(query)
            return Nothing()
        }
    }

    /// Serves a call of other servers with a typed method that does not await; the answer is `{}`.
    public func on<Query>(
        _ remote: Remote<Query, Nothing>, _ method: @escaping @Loop @Sendable (Query) throws -> Void
    ) -> ServedRoute {
        on(remote) { query throws in
            try method(query)
            return Nothing()
        }
    }
}

/// What the compiler says of a method that does not fit; without these it names a protocol by chance.
extension Handler {
    /// Refuses a method of other types.
    @available(*, unavailable, message: "the method must take the call's query and a Session, and return its reply")
    public func on<Query, Reply, Wrong, Other>(
        _ call: Call<Query, Reply>, _ method: @escaping @Loop @Sendable (Wrong, Session) async throws -> Other
    ) -> ServedRoute {
        .call(call, .synchronous { body, _ in body })
    }

    /// Refuses a method of other types.
    @available(*, unavailable, message: "the method must take the remote's query, and return its reply")
    public func on<Query, Reply, Wrong, Other>(
        _ remote: Remote<Query, Reply>, _ method: @escaping @Loop @Sendable (Wrong) async throws -> Other
    ) -> ServedRoute {
        .remote(remote) { body in .synchronous { body } }
    }
}

extension ServedRoute {
    fileprivate static func call(_ route: Route, _ answer: Answer) -> ServedRoute {
        ServedRoute(route: route, kind: .call(answer))
    }

    fileprivate static func call(_ call: Call<some Body, some Body>, _ answer: Answer) -> ServedRoute {
        ServedRoute(route: call.route, kind: .call(answer), isOfContract: true)
    }

    fileprivate static func remote(_ route: Route, _ answer: @escaping RemoteAnswer) -> ServedRoute {
        ServedRoute(route: route, kind: .remote(answer))
    }

    fileprivate static func remote(
        _ remote: Remote<some Body, some Body>, _ answer: @escaping RemoteAnswer
    ) -> ServedRoute {
        ServedRoute(route: remote.route, kind: .remote(answer), isOfContract: true)
    }
}
