// SPDX-License-Identifier: MIT
import PomeloBytes
package import PomeloConfiguration
import PomeloContract
package import PomeloCore
import PomeloJSON

/// A person who may log in.
package struct Operator: Sendable, Equatable {
    package let name: String
    package let role: AdminRole
    let password: PasswordHash
}

/// The people of `adminUser.json`.
///
/// ```json
/// {"production": [{"username": "ann", "role": "operate", "password": "scrypt$15$8$1$…"}]}
/// ```
///
/// - Source: pomelo 2.2.7, template config/adminUser.json, whose passwords were there for everybody to read.
package struct Operators: Sendable {
    package static let file = "adminUser"
    private let all: [Operator]
    /// Who knows the cluster's secret needs no name: there is no file, and it is development.
    package let areUnnamed: Bool

    /// Reads the file; where there is none, nobody can log in, but in development everybody who knows the secret.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the person.
    package init(_ configuration: Configuration) throws {
        guard let (section, path) = try configuration.sectionIfAny(Self.file) else {
            all = []
            areUnnamed = configuration.env == "development"
            return
        }
        areUnnamed = false
        guard let list = section.array else {
            throw PomeloError(.configuration, "\(path) must hold a list of people for \(configuration.env)")
        }
        all = try list.enumerated().map { try Self.read($1, "\(path): [\($0)]") }
        var names: Set<Text> = []
        for person in all where !names.insert(Text(person.name)).inserted {
            throw PomeloError(.configuration, "\(path): \(person.name.forLog) is there twice")
        }
    }

    package var count: Int { all.count }
    package subscript(_ name: String) -> Operator? { all.first { Text($0.name) == Text(name) } }

    private static func read(_ entry: JSON, _ place: String) throws -> Operator {
        guard let name = entry["username"]?.string, !name.isEmpty, name.utf8.count <= 64 else {
            throw PomeloError(.configuration, "\(place): username is missing, or longer than 64 bytes")
        }
        let person = "\(place) (\(name.forLog))"
        if entry["level"] != nil {
            throw PomeloError(
                .configuration, "\(person): level is pomelo's; here it is role, one of read, operate and own")
        }
        guard let role = entry["role"]?.string.flatMap(AdminRole.init) else {
            throw PomeloError(.configuration, "\(person): role must be read, operate or own")
        }
        guard let text = entry["password"]?.string, let password = PasswordHash(text) else {
            throw PomeloError(
                .configuration,
                "\(person): password must be what the command `password` prints; passwords are not written here")
        }
        let others = (entry.object ?? [:]).keys.filter { !["username", "role", "password", "id"].contains($0) }
        if let other = others.min() { throw PomeloError(.configuration, "\(person): unknown key \(other.forLog)") }
        return Operator(name: name, role: role, password: password)
    }
}
