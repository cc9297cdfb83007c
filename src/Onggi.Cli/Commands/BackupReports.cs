using System.Globalization;
using System.Text.Json;
using Onggi.Cli.Backup;
using Onggi.Cli.Output;
using Spectre.Console;

namespace Onggi.Cli.Commands;

/// <summary>What the commands of backups say.</summary>
internal static class BackupReports
{
    public static void Write(BackupMade made, BackupTerms terms, ToolOutput output)
    {
        if (made is { Archive: { } header, Footer: { } footer })
        {
            WriteFamilies(footer, output);
            var prefix = header.Prefix.Length == 0 ? $"everything in database {header.Database}" : $"{header.Prefix}*";
            output.Text.WriteLine(
                $"{made.Path}: {Count(footer.Keys)} keys of {prefix}, {Words.Size(new FileInfo(made.Path).Length)}. Each key is as it was at one moment within {Words.Time(TimeSpan.FromMilliseconds(Math.Max(1, footer.EndedAt - header.CreatedAt)))} from {Moment(header.CreatedAt)}; for one moment of all, --rdb."
            );
            if (footer.Gone > 0)
                output.Text.WriteLine($"{Count(footer.Gone)} keys ended or were removed before they were read; they are not in it.");
            if (footer.WithoutDigest > 0)
                output.Text.WriteLine(
                    $"{Count(footer.WithoutDigest)} keys are too large ({Words.Size(KeyReader.BigValue)} and more) or of a module: of them type and end are compared, not the value."
                );
        }
        else
            output.Text.WriteLine(
                $"{made.Path}: {(made.Keys < 0 ? "" : $"{Count(made.Keys)} keys, ")}{Words.Size(new FileInfo(made.Path).Length)}. All keys of all databases, as they were at one moment."
            );

        if (made.Proof is { } proof)
            output.Text.WriteLine(Proven(proof));
        else if (made.Differences.Count == 0)
            output.Text.WriteLine("NOT verified: nobody knows yet whether it can be restored. onggi backup verify FILE.");
        foreach (var difference in made.Differences)
            output.Text.WriteLine($"differs: {difference}");
        foreach (var removed in made.Removed)
            output.Text.WriteLine($"removed: {removed}");
        if (made.Differences.Count > 0)
            output.Text.WriteLine(
                "The proof failed: what a server makes of the archive is not what was read. Look at the keys above, and make another backup; older ones were kept."
            );
        else if (terms.Keep is not null || terms.KeepFor is not null)
            output.Text.WriteLine($"{Count(made.Removed.Count)} older backups were removed.");
    }

    public static void WriteJson(BackupMade made, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("file", made.Path);
            json.WriteNumber("keys", made.Keys);
            json.WriteNumber("bytes", new FileInfo(made.Path).Length);
            json.WriteBoolean("verified", made.Proof is not null);
            if (made is { Archive: { } header, Footer: { } footer })
            {
                json.WriteNumber("beganAt", header.CreatedAt);
                json.WriteNumber("endedAt", footer.EndedAt);
                json.WriteNumber("gone", footer.Gone);
                json.WriteNumber("withoutDigest", footer.WithoutDigest);
                json.WriteStartArray("families");
                foreach (var family in footer.Families)
                {
                    json.WriteStartObject();
                    json.WriteString("family", family.Name);
                    json.WriteNumber("keys", family.Keys);
                    json.WriteNumber("bytes", family.Bytes);
                    json.WriteString("digest", family.Digest);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteStartObject("ends");
                foreach (var (name, count) in TtlHistogram.Names.Zip(footer.Ends))
                    json.WriteNumber(name, count);
                json.WriteEndObject();
            }

            WriteList(json, "differences", made.Differences);
            WriteList(json, "removed", made.Removed);
            json.WriteEndObject();
        });

    public static void Write(string path, BackupProof? proof, IReadOnlyList<string> problems, ToolOutput output)
    {
        if (proof is not null)
            output.Text.WriteLine($"{path}: {Count(proof.Keys)} keys. {Proven(proof)}");
        foreach (var problem in problems)
            output.Text.WriteLine($"not proven: {problem}");
    }

    public static void WriteJson(string path, BackupProof? proof, IReadOnlyList<string> problems, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartObject();
            json.WriteString("file", path);
            json.WriteBoolean("verified", proof is not null);
            if (proof is not null)
            {
                json.WriteNumber("keys", proof.Keys);
                json.WriteString("server", proof.VerifiedWith);
                json.WriteNumber("seconds", Math.Round(proof.Seconds, 3));
                json.WriteNumber("memory", proof.Memory);
            }

            WriteList(json, "problems", problems);
            json.WriteEndObject();
        });

    public static void Write(IReadOnlyList<BackupFile> files, ToolOutput output)
    {
        var now = output.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var table = ToolOutput.Table("file", "of", "age", "size", "keys", "verified");
        foreach (var file in files)
            table.AddRow(
                Markup.Escape(Path.GetFileName(file.Path)),
                Markup.Escape(Whose(file)),
                Age(file.CreatedAt),
                Words.Size(file.Bytes),
                file.Keys < 0 ? Words.None : Count(file.Keys),
                file.Problem is { } problem ? $"[red]broken[/]: {Markup.Escape(problem)}"
                    : file.IsVerified ? $"{Age(file.VerifiedAt)} ago"
                    : "[yellow]never[/]"
            );
        output.Console.Write(table);
        output.Text.WriteLine(
            files.FirstOrDefault(file => file.IsVerified) is { } newest
                ? $"The newest proven backup is {Age(newest.CreatedAt)} old."
                : "No backup is proven: onggi backup verify FILE."
        );

        string Age(long moment) => Words.Time(TimeSpan.FromSeconds(Math.Max(0, (now - moment) / 1000)));
    }

    public static void WriteJson(IReadOnlyList<BackupFile> files, ToolOutput output) =>
        output.Json(json =>
        {
            json.WriteStartArray();
            foreach (var file in files)
            {
                json.WriteStartObject();
                json.WriteString("file", file.Path);
                json.WriteString("kind", file.IsRdb ? "rdb" : "archive");
                json.WriteString("system", file.Source.System);
                json.WriteString("environment", file.Source.Environment);
                json.WriteString("prefix", file.Source.Prefix);
                json.WriteNumber("createdAt", file.CreatedAt);
                json.WriteNumber("bytes", file.Bytes);
                if (file.Keys >= 0)
                    json.WriteNumber("keys", file.Keys);
                if (file.IsVerified)
                    json.WriteNumber("verifiedAt", file.VerifiedAt);
                if (file.Problem is not null)
                    json.WriteString("problem", file.Problem);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });

    public static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static void WriteFamilies(ArchiveFooter footer, ToolOutput output)
    {
        var table = ToolOutput.Table("family", "keys", "size", "digest");
        foreach (var family in footer.Families.OrderBy(family => family.Name, StringComparer.Ordinal))
            table.AddRow(Markup.Escape(family.Name), Count(family.Keys), Words.Size(family.Bytes), family.Digest[..12]);
        output.Console.Write(table);
        output.Text.WriteLine($"end: {string.Join(", ", TtlHistogram.Names.Zip(footer.Ends, (name, count) => $"{name} {Count(count)}"))}");
    }

    private static string Proven(BackupProof proof) =>
        proof.IsRdb
            ? $"Proven: checksums right, loaded by Redis {proof.VerifiedWith} in {proof.Seconds:0.0} s; it takes {Words.Size(proof.Memory)} there."
            : $"Proven: restored into Redis {proof.VerifiedWith}, every key compared, digests of all families and ends equal, in {proof.Seconds:0.0} s; it takes {Words.Size(proof.Memory)} there.";

    private static string Whose(BackupFile file) =>
        file.Source is { System.Length: > 0 } source ? $"{source.System} {source.Environment} {source.Prefix}"
        : file.IsRdb ? "all databases"
        : file.Source.Prefix.Length > 0 ? file.Source.Prefix
        : Words.None;

    private static string Moment(long milliseconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static void WriteList(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
