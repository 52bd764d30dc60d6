// SPDX-License-Identifier: MIT
import Pomelo
import PomeloBytes
import PomeloRedis

/// On the connectors: who has not logged in may only do that.
struct LoginFilter: Filter {
    func before(_ request: Request) async throws {
        guard request.session.uid != nil || request.route.serverType == .connector else {
            throw Fault(401, "log in first")
        }
    }
}

/// Counts the calls to other servers, and those that failed.
@Loop final class CallMeter: RPCFilter {
    private(set) var calls: [String: Int] = [:]
    private(set) var failures: [String: Int] = [:]

    func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome {
        calls[request.route.text, default: 0] += 1
        if case .failure = outcome { failures[request.route.text, default: 0] += 1 }
        return outcome
    }
}

/// What clients hear of errors that are no faults.
@Loop enum Errors {
    /// On the connectors: no server of a type is up.
    static func atFrontend(_ error: any Error, _ request: Request) async -> Outcome {
        guard case RPCError.notSent = error else { return .failure(error) }
        return .failure(Fault(503, "\(request.route.serverType) is closed"))
    }

    /// In the areas: what a transaction failed with, and Redis away.
    static func inArea(_ error: any Error, _ request: Request) async -> Outcome {
        switch error {
        case let error as TransactionError: .failure(error.cause)
        case is RedisError: .failure(Fault(503, "the world cannot be written"))
        default: .failure(error)
        }
    }
}
