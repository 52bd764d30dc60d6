// SPDX-License-Identifier: MIT
package import Testing

/// What tests run on that must hold on one server and on a cluster.
package enum RedisLayout: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case standalone, cluster

    /// The one of the test that runs.
    @TaskLocal package static var current = standalone

    package var isCluster: Bool { self == .cluster }
    package var testDescription: String { rawValue }
}

/// Runs each test twice: once on each layout, which `RedisLayout.current` tells.
package struct OnEachLayout: SuiteTrait, TestTrait, TestScoping {
    package let isRecursive = true

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        for layout in RedisLayout.allCases {
            try await RedisLayout.$current.withValue(layout) { try await function() }
        }
    }
}

extension Trait where Self == OnEachLayout {
    /// Once on one server, once on a cluster.
    package static var onEachLayout: Self { OnEachLayout() }
}
