using System.CommandLine;
using Onggi.Cli.Deployment;
using Onggi.Cli.Deployment.Pinning;
using Onggi.Cli.Output;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy pin</c>: tags of images become digests.</summary>
internal static class DeployPinCommand
{
    private const string UserVariable = "ONGGI_REGISTRY_USER";
    private const string PasswordVariable = "ONGGI_REGISTRY_PASSWORD";

    /// <summary>What became of one image.</summary>
    /// <param name="Image">As it is named.</param>
    /// <param name="Found">Its digest; <c>null</c> where it was not learned.</param>
    /// <param name="Problem">Why not; <c>null</c> where it was.</param>
    private sealed record Answer(ImageReference Image, ResolvedImage? Found, string? Problem);

    public static Command Create(ToolOutput output)
    {
        var options = new Options();
        var command = new Command(
            "pin",
            "Asks registries which digest a tag means now, and writes it behind the tag: into image: lines, and under images: of kustomizations. "
                + "It prints what it would write; with --write it does, and only when every image was found.\n\n"
                + "Exit code 0: every image has its digest. 2: one could not be found, and no file was changed."
        );
        command.Arguments.Add(options.Paths);
        foreach (var option in options.All)
            command.Options.Add(option);
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, options, output, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, Options options, ToolOutput output, CancellationToken cancellationToken)
    {
        var files = FilesOf(parsed.GetValue(options.Paths) ?? []);
        var uses = files.SelectMany(file => ImageUses.In(file.Path, file.Text)).ToList();
        var skipped = parsed.GetValue(options.Skip) ?? [];
        var wanted = uses.Where(use =>
                (use.Image.Digest is null || parsed.GetValue(options.Update))
                && !Array.Exists(skipped, name => IsLike(name, use.Image.ShortName))
            )
            .ToList();
        var answers = await AskAsync(wanted, parsed, options, output, cancellationToken).ConfigureAwait(false);
        var isWell = answers.Values.All(answer => answer.Found is not null);
        var writes = parsed.GetValue(options.Write) && isWell && wanted.Count > 0;
        if (writes)
            await WriteAsync(files, wanted, answers, cancellationToken).ConfigureAwait(false);
        Report(uses, wanted, answers, writes, parsed.GetValue(options.Json), output);
        return isWell ? OnggiTool.Ok : OnggiTool.Failed;
    }

    private static async Task<Dictionary<string, Answer>> AskAsync(
        List<ImageUse> wanted,
        ParseResult parsed,
        Options options,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        using var http = new HttpClient { Timeout = Patience(parsed.GetRequiredValue(options.Timeout)) };
        var registry = new RegistryClient(http, Mirrors(parsed.GetValue(options.Mirrors) ?? []), Login(parsed.GetValue(options.Login)));
        var answers = new Dictionary<string, Answer>(StringComparer.Ordinal);
        foreach (var image in wanted.Select(use => use.Image).OrderBy(image => image.ToString(), StringComparer.Ordinal))
        {
            if (answers.ContainsKey(NameOf(image)))
                continue;
            try
            {
                answers[NameOf(image)] = new Answer(
                    image,
                    await registry.ResolveAsync(image, cancellationToken).ConfigureAwait(false),
                    null
                );
            }
            catch (ToolException problem)
            {
                answers[NameOf(image)] = new Answer(image, null, problem.Message);
                await output.Error.WriteLineAsync($"onggi: {NameOf(image)}: {problem.Message}").ConfigureAwait(false);
            }
        }

        return answers;
    }

    // Everything is made first, then moved into place: a file is the old one or the new one.
    private static async Task WriteAsync(
        IReadOnlyList<(string Path, string Text)> files,
        List<ImageUse> wanted,
        Dictionary<string, Answer> answers,
        CancellationToken cancellationToken
    )
    {
        var made = new List<(string Temporary, string Path)>();
        foreach (var (path, text) in files.Where(file => wanted.Exists(use => use.File == file.Path)))
        {
            var lines = text.Split('\n').ToList();
            foreach (var use in wanted.Where(use => use.File == path))
                use.Edit(lines, answers[NameOf(use.Image)].Found!.Digest);
            var temporary = $"{path}.onggi-pin";
            await File.WriteAllTextAsync(temporary, string.Join('\n', lines), cancellationToken).ConfigureAwait(false);
            made.Add((temporary, path));
        }

        foreach (var (temporary, path) in made)
            File.Move(temporary, path, overwrite: true);
    }

    private static void Report(
        List<ImageUse> uses,
        List<ImageUse> wanted,
        Dictionary<string, Answer> answers,
        bool written,
        bool asJson,
        ToolOutput output
    )
    {
        if (asJson)
        {
            output.Json(json =>
            {
                json.WriteStartObject();
                json.WriteBoolean("written", written);
                json.WriteStartArray("images");
                foreach (var use in Ordered(wanted))
                {
                    var answer = answers[NameOf(use.Image)];
                    json.WriteStartObject();
                    json.WriteString("file", use.File);
                    json.WriteNumber("line", use.Line);
                    json.WriteString("image", NameOf(use.Image));
                    json.WriteString("digest", answer.Found?.Digest);
                    json.WriteBoolean("severalPlatforms", answer.Found?.IsIndex == true);
                    json.WriteString("problem", answer.Problem);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteEndObject();
            });
            return;
        }

        foreach (var use in Ordered(wanted))
            if (answers[NameOf(use.Image)].Found is { } found)
                output.Text.WriteLine(
                    $"{use.File}:{use.Line}: {NameOf(use.Image)}@{found.Digest}{(found.IsIndex ? "" : " (one platform only)")}"
                );
            else
                output.Text.WriteLine($"{use.File}:{use.Line}: {NameOf(use.Image)} was not found.");
        var lost = answers.Values.Count(answer => answer.Found is null);
        output.Text.WriteLine(
            $"{Words.Count(uses.Count, "place", "places")} with an image, {Words.Count(wanted.Count, "place", "places")} to be pinned; "
                + (
                    lost > 0 ? $"{Words.Count(lost, "image", "images")} not found, so nothing was written."
                    : written ? "written."
                    : wanted.Count == 0 ? "nothing to do."
                    : "nothing was written: add --write."
                )
        );
    }

    private static IEnumerable<ImageUse> Ordered(List<ImageUse> uses) =>
        uses.OrderBy(use => use.File, StringComparer.Ordinal).ThenBy(use => use.Line);

    // The digest that stands there already is what is asked anew.
    private static string NameOf(ImageReference image) => (image with { Digest = null }).ToString();

    private static List<(string Path, string Text)> FilesOf(string[] paths)
    {
        var files = new List<(string, string)>();
        foreach (var path in paths.Length == 0 ? ["."] : paths)
        {
            if (Directory.Exists(path))
                files.AddRange(
                    Directory
                        .EnumerateFiles(path, "*", SearchOption.AllDirectories)
                        .Where(file => Path.GetExtension(file) is ".yaml" or ".yml")
                        .Order(StringComparer.Ordinal)
                        .Select(file => (file, File.ReadAllText(file)))
                );
            else
                files.Add((path, Inputs.Read(path, "Name folders or files of manifests.")));
        }

        return files;
    }

    private static bool IsLike(string pattern, string name) =>
        pattern.EndsWith('*') ? name.StartsWith(pattern[..^1], StringComparison.Ordinal) : name == pattern;

    private static TimeSpan Patience(string text) =>
        CatalogWords.TryDuration(text, out var duration)
            ? duration
            : throw new ToolException($"--timeout \"{text}\" is no duration. Write {CatalogWords.GuessDuration(text)}.");

    private static Dictionary<string, string> Mirrors(string[] texts)
    {
        var mirrors = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            if (text.Split('=') is not [{ Length: > 0 } registry, { Length: > 0 } host] || host.Contains('/', StringComparison.Ordinal))
                throw new ToolException($"--mirror \"{text}\" is none. Write: --mirror docker.io=registry.example.org:5000");
            mirrors[registry] = host;
        }

        return mirrors;
    }

    private static RegistryLogin? Login(string? registry)
    {
        if (registry is null)
            return null;
        var (user, password) = (Environment.GetEnvironmentVariable(UserVariable), Environment.GetEnvironmentVariable(PasswordVariable));
        return string.IsNullOrEmpty(user) || string.IsNullOrEmpty(password)
            ? throw new ToolException($"--login {registry} needs user and password in the variables {UserVariable} and {PasswordVariable}.")
            : new RegistryLogin(registry, user, password);
    }

    private sealed class Options
    {
        public Argument<string[]> Paths { get; } =
            new Argument<string[]>("PATH")
            {
                Description = "Folders or files: manifests, kustomizations, compose files; this folder otherwise.",
                Arity = ArgumentArity.ZeroOrMore,
            }.NoOption();

        public Option<bool> Write { get; } =
            new("--write") { Description = "Writes the digests into the files, when every image was found." };

        public Option<bool> Update { get; } = new("--update") { Description = "Asks anew for images that have a digest already." };

        public Option<string[]> Skip { get; } =
            new("--skip")
            {
                Description =
                    "Images that are left alone, your own that are not pushed yet, say: NAME, or with a star at its end. May be given several times.",
                HelpName = "NAME",
            };

        public Option<string[]> Mirrors { get; } =
            new("--mirror")
            {
                Description = "A registry that is asked instead of another: docker.io=registry.example.org. May be given several times.",
                HelpName = "REGISTRY=HOST",
            };

        public Option<string?> Login { get; } =
            new("--login")
            {
                Description = $"Logs in at this registry, with user and password of the variables {UserVariable} and {PasswordVariable}.",
                HelpName = "REGISTRY",
            };

        public Option<string> Timeout { get; } =
            new("--timeout")
            {
                Description = "How long one question may take.",
                HelpName = "DURATION",
                DefaultValueFactory = _ => "15s",
            };

        public Option<bool> Json { get; } = Inputs.Json();

        public IEnumerable<Option> All => [Write, Update, Skip, Mirrors, Login, Timeout, Json];
    }
}
