using Microsoft.Extensions.Options;
using Onggi.Batches;
using Onggi.Caching;
using Onggi.Client;
using Onggi.Diagnostics;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi;

/// <summary>Finds every mistake in <see cref="OnggiOptions"/>, those of the connection string and the catalog included, before the host starts.</summary>
internal sealed class OnggiOptionsValidator : IValidateOptions<OnggiOptions>
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    public ValidateOptionsResult Validate(string? name, OnggiOptions options)
    {
        var result = new ValidateOptionsResultBuilder();
        var commandTimeout = CheckConnection(options, result);
        CheckService(options, result);
        CheckCatalog(options, result);
        CheckCache(options, result);
        SessionOptionsValidator.Validate(options.Sessions, commandTimeout, nameof(OnggiOptions.Sessions), result);
        TokenOptionsValidator.Validate(options.Tokens, nameof(OnggiOptions.Tokens), result);
        EventOptionsValidator.Validate(options.Events, nameof(OnggiOptions.Events), result);
        LockOptionsValidator.Validate(options.Locks, nameof(OnggiOptions.Locks), result);
        LimitOptionsValidator.Validate(options.Limits, nameof(OnggiOptions.Limits), result);
        BatchOptionsValidator.Validate(options.Batches, nameof(OnggiOptions.Batches), result);
        HealthOptionsValidator.Validate(options.Health, nameof(OnggiOptions.Health), result);
        return result.Build();
    }

    /// <summary>The catalog's text and where it is from, for messages.</summary>
    internal static string ReadCatalog(OnggiOptions options) => options.Catalog ?? File.ReadAllText(options.CatalogPath!);

    /// <returns>For how long a command is waited for, as far as it can be read.</returns>
    private static TimeSpan CheckConnection(OnggiOptions options, ValidateOptionsResultBuilder result)
    {
        var commandTimeout = options.CommandTimeout;
        try
        {
            // Where the options leave it as it is, what the connection string says holds.
            var redis = RedisClientOptions.Parse(options.ConnectionString);
            if (commandTimeout == new OnggiOptions().CommandTimeout)
                commandTimeout = redis.CommandTimeout;
        }
        catch (Exception mistake) when (mistake is FormatException or ArgumentException)
        {
            result.AddError($"cannot be read: {mistake.Message}", nameof(OnggiOptions.ConnectionString));
        }

        CheckWait(options.CommandTimeout, nameof(OnggiOptions.CommandTimeout), "00:00:02", result);
        CheckWait(options.ConnectTimeout, nameof(OnggiOptions.ConnectTimeout), "00:00:05", result);
        return commandTimeout;
    }

    private static void CheckWait(TimeSpan wait, string option, string example, ValidateOptionsResultBuilder result)
    {
        if (wait <= TimeSpan.Zero || wait > LongestWait)
            result.AddError(
                $"is {wait}, but callers wait for it when Redis hangs. Write a time above 00:00:00 and at most {LongestWait}, for example {example}.",
                option
            );
    }

    private static void CheckService(OnggiOptions options, ValidateOptionsResultBuilder result)
    {
        if (string.IsNullOrWhiteSpace(options.Service))
            result.AddError(
                "is not set, so nobody could tell whose events and connections these are. Write the service's name from the catalog, for example \"Service\": \"bill-inquiry\".",
                nameof(OnggiOptions.Service)
            );
        else if (options.Service.Any(letter => letter is <= ' ' or > '~'))
            result.AddError(
                $"is \"{options.Service}\", but Redis takes no spaces or special characters in the name of a connection. Write letters, digits and hyphens, for example \"bill-inquiry\".",
                nameof(OnggiOptions.Service)
            );
    }

    private static void CheckCache(OnggiOptions options, ValidateOptionsResultBuilder result)
    {
        var cache = new ValidateOptionsResultBuilder();
        CacheOptionsValidator.Check(options.Cache, cache);
        // Its own messages begin with "Property MemoryTtl: …"; here they say where the option stands.
        foreach (var mistake in cache.Build().Failures ?? [])
            result.AddError(mistake.Replace("Property ", $"Property {nameof(OnggiOptions.Cache)}:", StringComparison.Ordinal));
    }

    private static void CheckCatalog(OnggiOptions options, ValidateOptionsResultBuilder result)
    {
        if (string.IsNullOrWhiteSpace(options.Catalog) && string.IsNullOrWhiteSpace(options.CatalogPath))
        {
            result.AddError(
                "is not set, so no key has a name. Write options.Catalog = Catalog.Json (generated from keyspace.json), or give CatalogPath.",
                nameof(OnggiOptions.Catalog)
            );
            return;
        }

        var option = options.Catalog is null ? nameof(OnggiOptions.CatalogPath) : nameof(OnggiOptions.Catalog);
        try
        {
            var service = string.IsNullOrWhiteSpace(options.Service) ? null : options.Service;
            Keyspace.Load(ReadCatalog(options), options.Environment, service, options.PersonalSecret);
        }
        catch (CatalogException mistakes)
        {
            result.AddError($"has mistakes: {mistakes.Message}", option);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            result.AddError(
                $"cannot be read: {unreadable.Message} Write the path of keyspace.json; a relative one starts at {Directory.GetCurrentDirectory()}.",
                option
            );
        }
    }
}
