using System.CommandLine;
using System.CommandLine.Parsing;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary>The options and arguments that several commands share, and what they stand for.</summary>
internal static class Inputs
{
    public const string DefaultCatalog = "keyspace.json";
    public const string RedisVariable = "ONGGI_REDIS";
    public const string SecretVariable = "ONGGI_PERSONAL_SECRET";

    public static Argument<string> CatalogFile() => new("FILE") { Description = "The catalog.", DefaultValueFactory = _ => DefaultCatalog };

    public static Option<string?> Environment() =>
        new("--environment", "-e")
        {
            Description = "The environment to look through; the catalog's default one otherwise.",
            HelpName = "NAME",
        };

    public static Option<bool> Json() => new("--json") { Description = "Writes JSON for programs instead of a table for people." };

    /// <summary>The catalog of commands that can do without one, too.</summary>
    public static Option<string?> Catalog(string without) =>
        new("--catalog", "-c")
        {
            Description = $"The catalog that says whose a key is; {DefaultCatalog} of this folder otherwise. {without}",
            HelpName = "FILE",
        };

    /// <summary>Answers the question before something that cannot be taken back.</summary>
    public static Option<bool> Yes(string what) => new("--yes", "-y") { Description = $"{what} without asking." };

    public static Option<string?> Redis() =>
        new("--redis", "-r")
        {
            Description =
                $"The Redis to ask: host:port,password=… or redis://user:password@host:port. Otherwise the variable {RedisVariable}, otherwise 127.0.0.1:6379. Prefer the variable for passwords: other users see command lines.",
            HelpName = "CONNECTION",
        };

    /// <summary>Refuses numbers outside the bounds; what is no number is refused before.</summary>
    public static void Bound(Option<int> option, int least, int most) =>
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (int.TryParse(token.Value, out var value) && (value < least || value > most))
                    result.AddError($"{option.Name} is {least} to {most}, not {value}.");
            }
        });

    /// <summary>One rule for all samples: a number of keys, 0 is none, and every key is another option's (<see cref="Exact"/>). Where fewer than <paramref name="least"/> tell nothing they are refused.</summary>
    public static void BoundSample(Option<int> sample, int least) =>
        sample.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (int.TryParse(token.Value, out var value) && value < least)
                    result.AddError($"{sample.Name} is {least} or more, not {value}.{(least > 0 ? " --exact looks at every key." : "")}");
            }
        });

    /// <summary>Looks at every key instead of at a sample.</summary>
    public static Option<bool> Exact(string description, Option<int> sample)
    {
        var exact = new Option<bool>("--exact") { Description = description };
        exact.Validators.Add(result =>
        {
            if (!result.Implicit && result.GetResult(sample) is { Implicit: false })
                result.AddError("--exact looks at every key, --sample at some: choose one.");
        });
        return exact;
    }

    /// <summary>A misspelt option is not taken for a name: it is refused, and the nearest one is said.</summary>
    public static Argument<T> NoOption<T>(this Argument<T> argument)
    {
        argument.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (!token.Value.StartsWith("--", StringComparison.Ordinal))
                    continue;
                var known = result.Parent is CommandResult { Command: var command } ? command.Options.Select(option => option.Name) : [];
                result.AddError($"There is no option {token.Value}. {CatalogWords.Suggest(token.Value, [.. known], "")}");
            }
        });
        return argument;
    }

    /// <summary>The catalog's text.</summary>
    /// <exception cref="ToolException">It cannot be read.</exception>
    public static string ReadCatalog(string file) => Read(file, $"Name the catalog, usually {DefaultCatalog}.");

    /// <summary>A file's text.</summary>
    /// <exception cref="ToolException">It cannot be read.</exception>
    public static string Read(string file, string advice)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception problem) when (problem is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"there is no file {file}. {advice}");
        }
    }

    /// <summary>The catalog, bound; without the secret, since a tool only reads names.</summary>
    /// <exception cref="ToolException">It has mistakes.</exception>
    public static Keyspace LoadKeyspace(string file, string? environment)
    {
        try
        {
            return Keyspace.Load(ReadCatalog(file), environment, service: null, personalSecret: null, needsSecret: false);
        }
        catch (CatalogException problem)
        {
            throw new ToolException($"{file}: {problem.Message}");
        }
    }

    /// <summary>The catalog that was named, or that lies in this folder; <c>null</c> where neither is.</summary>
    /// <exception cref="ToolException">It cannot be read, or has mistakes.</exception>
    public static Keyspace? FindKeyspace(string? file, string? environment)
    {
        file ??= File.Exists(DefaultCatalog) ? DefaultCatalog : null;
        return file is null ? null : LoadKeyspace(file, environment);
    }

    /// <summary>The same where the command can do nothing without one.</summary>
    /// <exception cref="ToolException">There is none, it cannot be read, or it has mistakes.</exception>
    public static Keyspace NeedKeyspace(string? file, string? environment) =>
        FindKeyspace(file, environment)
        ?? throw new ToolException($"there is no {DefaultCatalog} in this folder: name the catalog with --catalog.");

    /// <summary>The same for commands that look for a person's keys; where the environment hashes persons, the secret comes from the variable ONGGI_PERSONAL_SECRET.</summary>
    /// <exception cref="ToolException">As above, or the secret lacks.</exception>
    public static Keyspace NeedKeyspaceWithSecret(string? file, string? environment)
    {
        var keyspace = NeedKeyspace(file, environment);
        if (!keyspace.HashesPersonalIdentifiers)
            return keyspace;
        var secret = System.Environment.GetEnvironmentVariable(SecretVariable);
        if (string.IsNullOrEmpty(secret))
            throw new ToolException(
                $"environment {keyspace.Environment} hashes persons: put the secret that the services have as PersonalSecret into the variable {SecretVariable}."
            );
        try
        {
            return Keyspace.Load(ReadCatalog(file ?? DefaultCatalog), environment, service: null, secret);
        }
        catch (CatalogException problem)
        {
            throw new ToolException(problem.Message);
        }
    }

    /// <summary>Connects to the Redis that was named, or to the environment's, or to the local one.</summary>
    /// <exception cref="ToolException">The connection string is none.</exception>
    /// <exception cref="RedisException">Redis cannot be reached or refuses.</exception>
    public static Task<RedisClient> ConnectAsync(string? connection, CancellationToken cancellationToken) =>
        ConnectAsync(connection, static _ => { }, cancellationToken);

    /// <summary>The same with something changed, the user say.</summary>
    public static async Task<RedisClient> ConnectAsync(
        string? connection,
        Action<RedisClientOptions> change,
        CancellationToken cancellationToken
    )
    {
        var options = OptionsOf(connection);
        options.ClientName ??= "onggi-cli";
        change(options);
        return await RedisClient.ConnectAsync(options, cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What a connection string says; that of the environment variable, or the local one, where there is none.</summary>
    /// <exception cref="ToolException">It is none.</exception>
    public static RedisClientOptions OptionsOf(string? connection)
    {
        try
        {
            return RedisClientOptions.Parse(connection ?? System.Environment.GetEnvironmentVariable(RedisVariable) ?? "127.0.0.1:6379");
        }
        catch (FormatException problem)
        {
            throw new ToolException(problem.Message);
        }
    }
}
