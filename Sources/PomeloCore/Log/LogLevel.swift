// SPDX-License-Identifier: MIT
public import Logging
public import PomeloConfiguration

/// `LOG_LEVEL`: from which level on lines are written, whatever the program's log handler says.
///
/// It counts for every logger that is `lineSafe`: all of the framework's, `app.log` among them.
public enum LogLevel {
    /// The level of the variable, nil when there is none; capitals do not matter.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the levels.
    public static func read(_ variables: EnvironmentVariables = .ofProcess) throws -> Logger.Level? {
        guard let text = variables["LOG_LEVEL"] else { return nil }
        if let level = Logger.Level(rawValue: text.lowercased()) { return level }
        let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw PomeloError(.configuration, "LOG_LEVEL must be one of: \(known)")
    }

    /// A wrong one counts as none here: who starts a server reads it first, and says so.
    static let ofProcess: Logger.Level? = {
        guard case .success(let level) = Result(catching: { try read() }) else { return nil }
        return level
    }()
}
