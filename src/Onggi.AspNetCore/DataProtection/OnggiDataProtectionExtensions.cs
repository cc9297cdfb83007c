using System.Text.RegularExpressions;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi.AspNetCore.DataProtection;
using Onggi.Client;
using Onggi.Keys;

namespace Microsoft.AspNetCore.DataProtection;

/// <summary>Keeps ASP.NET's key ring in the team's Redis. <c>AddOnggi</c> is called beside it.</summary>
public static partial class OnggiDataProtectionExtensions
{
    extension(IDataProtectionBuilder builder)
    {
        /// <summary>Keeps the key ring in Redis, as <c>&lt;prefix&gt;onggi:data-protection:&lt;ring&gt;</c>: all hosts with the same ring and application name open each other's cookies.</summary>
        /// <remarks>
        /// <para>Who can read Redis can read the keys, unless they are sealed: <c>ProtectKeysWithCertificate</c>. The keys have no end; ASP.NET makes new ones and keeps the old ones to open what they have sealed.</para>
        /// <para>Redis slow or gone: a host that has its ring goes on with it; one that starts fails what it is to seal or open, and tries again with the next. Full: no new keys. Restarted empty, or failed over: hosts that live put back what they know.</para>
        /// </remarks>
        /// <param name="ring">Which ring, where applications are to have their own: small letters, digits and hyphens.</param>
        /// <exception cref="ArgumentException">The ring's name has other characters.</exception>
        public IDataProtectionBuilder PersistKeysToOnggi(string ring = "shared")
        {
            ArgumentNullException.ThrowIfNull(ring);
            if (!RingName().IsMatch(ring))
                throw new ArgumentException(
                    $"\"{ring}\" cannot stand in a key's name. Write small letters, digits and hyphens, for example \"shared\".",
                    nameof(ring)
                );
            builder.Services.AddSingleton<IConfigureOptions<KeyManagementOptions>>(provider => new ConfigureOptions<KeyManagementOptions>(
                options =>
                    options.XmlRepository = new KeyRing(
                        provider.GetRequiredService<RedisClient>(),
                        $"{provider.GetRequiredService<Keyspace>().Prefix}onggi:data-protection:{ring}",
                        provider.GetRequiredService<ILogger<KeyRing>>()
                    )
            ));
            return builder;
        }
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,62}$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 100)]
    private static partial Regex RingName();
}
