// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// What a call failed with; nil when it did not.
@Loop package func thrown<Value, Failure: Error>(
    by body: @Loop () async throws(Failure) -> Value
) async -> Failure? {
    do throws(Failure) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

/// The code of the framework's error that a body throws, or what else it throws; "none" when it does not.
@Loop package func failureCode(_ body: @Loop () async throws -> Void) async -> String {
    guard let error = await thrown(by: body) else { return "none" }
    return (error as? PomeloError).map { "\($0.code)" } ?? "\(error)"
}

/// The error that `body` throws, in its own words; `none` when it throws none.
@Loop package func failureText(_ body: @Loop () async throws -> Void) async -> String {
    await thrown(by: body).map { "\($0)" } ?? "none"
}
