// SPDX-License-Identifier: MIT
import PomeloBytes
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
    /// Whether it is served by a value of a contract, not by its text.
    var isOfContract = false
}
