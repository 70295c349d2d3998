"""The texts of replies in German, French and Spanish, by the English text."""

from __future__ import annotations

GERMAN = {
    "A password is UTF-8, without control characters.": (
        "Ein Passwort ist UTF-8, ohne Steuerzeichen."
    ),
    "A password has at most 255 octets.": "Ein Passwort hat höchstens 255 Oktette.",
    "APOP is not offered here.": "APOP wird hier nicht angeboten.",
    "Another program holds this maildrop.": "Ein anderes Programm hält dieses Postfach.",
    "A session from {address} holds this maildrop since {since}.": (
        "Eine Sitzung von {address} hält dieses Postfach seit {since}."
    ),
    "Another session holds this maildrop.": "Eine andere Sitzung hält dieses Postfach.",
    "Authentication cancelled.": "Anmeldung abgebrochen.",
    "Begin TLS now.": "Jetzt TLS beginnen.",
    "Capability list follows": "Es folgt, was der Server kann",
    "In this mechanism the server speaks first.": "In diesem Verfahren spricht der Server zuerst.",
    "Internal error (incident {incident}).": "Interner Fehler (Vorfall {incident}).",
    "Language chosen.": "Sprache gewählt.",
    "Languages follow": "Es folgen die Sprachen",
    "Line too long.": "Die Zeile ist zu lang.",
    "Lines end with CR LF.": "Zeilen enden mit CR LF.",
    "Log in first.": "Zuerst anmelden.",
    "Logged in.": "Angemeldet.",
    "Logging out.": "Abgemeldet.",
    "Logins cannot be checked now, try again later.": (
        "Anmeldungen können jetzt nicht geprüft werden, bitte später wieder."
    ),
    "Marked to be deleted.": "Zum Löschen vorgemerkt.",
    "Mechanisms follow": "Es folgen die Verfahren",
    "Message is deleted.": "Die Nachricht ist gelöscht.",
    "Message is gone: another program took it away.": (
        "Die Nachricht ist fort: Ein anderes Programm hat sie weggenommen."
    ),
    "Name or password is wrong.": "Name oder Passwort ist falsch.",
    "No logins in clear text here: use STLS or port 995.": (
        "Keine Anmeldung im Klartext: STLS oder Port 995 benutzen."
    ),
    "Nobody may log in as somebody else.": "Niemand darf sich für jemand anderen anmelden.",
    "STLS must come before UTF8.": "STLS muss vor UTF8 kommen.",
    "Send {verb} first.": "Zuerst {verb} senden.",
    "Some deleted messages not removed.": "Einige gelöschte Nachrichten wurden nicht entfernt.",
    "TLS is active already.": "TLS ist schon aktiv.",
    "TLS is not available here.": "TLS gibt es hier nicht.",
    "That is not base64.": "Das ist kein Base64.",
    "The certificate is not valid for this account.": "Das Zertifikat gilt nicht für dieses Konto.",
    "The disk failed: removed messages may come back.": (
        "Fehler der Festplatte: Entfernte Nachrichten können wiederkommen."
    ),
    "The header is in UTF-8: say UTF8 before you log in.": (
        "Der Kopf ist in UTF-8: UTF8 vor der Anmeldung senden."
    ),
    "The mail store does not answer now, try again later.": (
        "Der Mailspeicher antwortet jetzt nicht, bitte später wieder."
    ),
    "The mail store needs its administrator.": "Der Mailspeicher braucht seinen Verwalter.",
    "The server does not answer in time, try again later.": (
        "Der Server antwortet nicht rechtzeitig, bitte später wieder."
    ),
    "The token is not valid for this account.": "Das Token gilt nicht für dieses Konto.",
    "The response is not understood.": "Die Antwort ist unverständlich.",
    "There's no message {number}.": "Es gibt keine Nachricht {number}.",
    "This is a POP3 server, not a web server.": "Das ist ein POP3-Server, kein Webserver.",
    "This language is not spoken here.": "Diese Sprache wird hier nicht gesprochen.",
    "This mechanism is not offered; CAPA lists those that are.": (
        "Dieses Verfahren wird nicht angeboten; CAPA nennt die anderen."
    ),
    "This mechanism is not possible on this connection.": (
        "Dieses Verfahren geht auf dieser Verbindung nicht."
    ),
    "This session no longer holds the maildrop, and removed nothing; log in again.": (
        "Diese Sitzung hat das Postfach nicht mehr und hat nichts entfernt; bitte neu anmelden."
    ),
    "The server is stopping, try again later.": "Der Server wird beendet, bitte später wieder.",
    "Too many connections, try again later.": "Zu viele Verbindungen, bitte später wieder.",
    "Too many logins of this account from your address, try again later.": (
        "Zu viele Anmeldungen dieses Kontos von Ihrer Adresse, bitte später wieder."
    ),
    "Too many sessions of this account, try again later.": (
        "Zu viele Sitzungen dieses Kontos, bitte später wieder."
    ),
    "UTF-8 it is.": "UTF-8 gilt.",
    "Unknown command.": "Unbekannter Befehl.",
    "Write it as: {usage}": "So schreiben: {usage}",
    "You are logged in already.": "Sie sind schon angemeldet.",
    "You may log in once in {seconds} seconds.": (
        "Anmelden ist nur einmal in {seconds} Sekunden erlaubt."
    ),
    "{count} messages:": "{count} Nachrichten:",
    "{octets} octets": "{octets} Oktette",
}

FRENCH = {
    "A password is UTF-8, without control characters.": (
        "Un mot de passe est en UTF-8, sans caractères de contrôle."
    ),
    "A password has at most 255 octets.": "Un mot de passe a au plus 255 octets.",
    "APOP is not offered here.": "APOP n'est pas proposé ici.",
    "Another program holds this maildrop.": "Un autre programme tient cette boîte.",
    "A session from {address} holds this maildrop since {since}.": (
        "Une session de {address} tient cette boîte depuis {since}."
    ),
    "Another session holds this maildrop.": "Une autre session tient cette boîte.",
    "Authentication cancelled.": "Authentification abandonnée.",
    "Begin TLS now.": "Commencez TLS maintenant.",
    "Capability list follows": "Voici ce que le serveur sait faire",
    "In this mechanism the server speaks first.": (
        "Dans ce mécanisme, le serveur parle le premier."
    ),
    "Internal error (incident {incident}).": "Erreur interne (incident {incident}).",
    "Language chosen.": "Langue choisie.",
    "Languages follow": "Voici les langues",
    "Line too long.": "Ligne trop longue.",
    "Lines end with CR LF.": "Les lignes finissent par CR LF.",
    "Log in first.": "Identifiez-vous d'abord.",
    "Logged in.": "Session ouverte.",
    "Logging out.": "Session fermée.",
    "Logins cannot be checked now, try again later.": (
        "Les identifications ne peuvent être vérifiées, réessayez plus tard."
    ),
    "Marked to be deleted.": "Marqué pour suppression.",
    "Mechanisms follow": "Voici les mécanismes",
    "Message is deleted.": "Le message est supprimé.",
    "Message is gone: another program took it away.": (
        "Le message a disparu : un autre programme l'a pris."
    ),
    "Name or password is wrong.": "Nom ou mot de passe incorrect.",
    "No logins in clear text here: use STLS or port 995.": (
        "Pas d'identification en clair ici : utilisez STLS ou le port 995."
    ),
    "Nobody may log in as somebody else.": "Nul ne peut s'identifier pour un autre.",
    "STLS must come before UTF8.": "STLS doit précéder UTF8.",
    "Send {verb} first.": "Envoyez d'abord {verb}.",
    "Some deleted messages not removed.": "Des messages supprimés n'ont pas été retirés.",
    "TLS is active already.": "TLS est déjà actif.",
    "TLS is not available here.": "TLS n'est pas disponible ici.",
    "That is not base64.": "Ce n'est pas du base64.",
    "The certificate is not valid for this account.": (
        "Ce certificat n'est pas valable pour ce compte."
    ),
    "The disk failed: removed messages may come back.": (
        "Erreur du disque : des messages retirés peuvent revenir."
    ),
    "The header is in UTF-8: say UTF8 before you log in.": (
        "L'en-tête est en UTF-8 : dites UTF8 avant de vous identifier."
    ),
    "The mail store does not answer now, try again later.": (
        "Le dépôt de courrier ne répond pas, réessayez plus tard."
    ),
    "The mail store needs its administrator.": (
        "Le dépôt de courrier a besoin de son administrateur."
    ),
    "The server does not answer in time, try again later.": (
        "Le serveur ne répond pas à temps, réessayez plus tard."
    ),
    "The token is not valid for this account.": "Ce jeton n'est pas valable pour ce compte.",
    "The response is not understood.": "La réponse n'est pas comprise.",
    "There's no message {number}.": "Il n'y a pas de message {number}.",
    "This is a POP3 server, not a web server.": "C'est un serveur POP3, pas un serveur web.",
    "This language is not spoken here.": "Cette langue n'est pas parlée ici.",
    "This mechanism is not offered; CAPA lists those that are.": (
        "Ce mécanisme n'est pas proposé ; CAPA donne les autres."
    ),
    "This mechanism is not possible on this connection.": (
        "Ce mécanisme est impossible sur cette connexion."
    ),
    "This session no longer holds the maildrop, and removed nothing; log in again.": (
        "Cette session ne tient plus la boîte et n'a rien supprimé ; identifiez-vous de nouveau."
    ),
    "The server is stopping, try again later.": "Le serveur s'arrête, réessayez plus tard.",
    "Too many connections, try again later.": "Trop de connexions, réessayez plus tard.",
    "Too many logins of this account from your address, try again later.": (
        "Trop de connexions à ce compte depuis votre adresse, réessayez plus tard."
    ),
    "Too many sessions of this account, try again later.": (
        "Trop de sessions de ce compte, réessayez plus tard."
    ),
    "UTF-8 it is.": "Va pour UTF-8.",
    "Unknown command.": "Commande inconnue.",
    "Write it as: {usage}": "Écrivez : {usage}",
    "You are logged in already.": "La session est déjà ouverte.",
    "You may log in once in {seconds} seconds.": (
        "Une identification toutes les {seconds} secondes est permise."
    ),
    "{count} messages:": "{count} messages :",
    "{octets} octets": "{octets} octets",
}

SPANISH = {
    "A password is UTF-8, without control characters.": (
        "Una contraseña está en UTF-8, sin caracteres de control."
    ),
    "A password has at most 255 octets.": "Una contraseña tiene como máximo 255 octetos.",
    "APOP is not offered here.": "APOP no se ofrece aquí.",
    "Another program holds this maildrop.": "Otro programa tiene este buzón.",
    "A session from {address} holds this maildrop since {since}.": (
        "Una sesión de {address} tiene este buzón desde {since}."
    ),
    "Another session holds this maildrop.": "Otra sesión tiene este buzón.",
    "Authentication cancelled.": "Autenticación cancelada.",
    "Begin TLS now.": "Comience TLS ahora.",
    "Capability list follows": "Sigue lo que el servidor sabe hacer",
    "In this mechanism the server speaks first.": ("En este mecanismo habla primero el servidor."),
    "Internal error (incident {incident}).": "Error interno (incidente {incident}).",
    "Language chosen.": "Idioma elegido.",
    "Languages follow": "Siguen los idiomas",
    "Line too long.": "Línea demasiado larga.",
    "Lines end with CR LF.": "Las líneas terminan con CR LF.",
    "Log in first.": "Identifíquese primero.",
    "Logged in.": "Sesión iniciada.",
    "Logging out.": "Sesión terminada.",
    "Logins cannot be checked now, try again later.": (
        "Ahora no se puede comprobar la identidad, inténtelo más tarde."
    ),
    "Marked to be deleted.": "Marcado para borrar.",
    "Mechanisms follow": "Siguen los mecanismos",
    "Message is deleted.": "El mensaje está borrado.",
    "Message is gone: another program took it away.": (
        "El mensaje ya no está: otro programa se lo llevó."
    ),
    "Name or password is wrong.": "Nombre o contraseña incorrectos.",
    "No logins in clear text here: use STLS or port 995.": (
        "Aquí no se entra en claro: use STLS o el puerto 995."
    ),
    "Nobody may log in as somebody else.": "Nadie puede entrar como otra persona.",
    "STLS must come before UTF8.": "STLS debe preceder a UTF8.",
    "Send {verb} first.": "Envíe primero {verb}.",
    "Some deleted messages not removed.": "Algunos mensajes borrados no se quitaron.",
    "TLS is active already.": "TLS ya está activo.",
    "TLS is not available here.": "TLS no está disponible aquí.",
    "That is not base64.": "Eso no es base64.",
    "The certificate is not valid for this account.": (
        "El certificado no es válido para esta cuenta."
    ),
    "The disk failed: removed messages may come back.": (
        "Error del disco: los mensajes quitados pueden volver."
    ),
    "The header is in UTF-8: say UTF8 before you log in.": (
        "La cabecera está en UTF-8: diga UTF8 antes de entrar."
    ),
    "The mail store does not answer now, try again later.": (
        "El almacén de correo no responde, inténtelo más tarde."
    ),
    "The mail store needs its administrator.": "El almacén de correo necesita a su administrador.",
    "The server does not answer in time, try again later.": (
        "El servidor no responde a tiempo, inténtelo más tarde."
    ),
    "The token is not valid for this account.": "El token no es válido para esta cuenta.",
    "The response is not understood.": "La respuesta no se entiende.",
    "There's no message {number}.": "No hay mensaje {number}.",
    "This is a POP3 server, not a web server.": "Es un servidor POP3, no un servidor web.",
    "This language is not spoken here.": "Este idioma no se habla aquí.",
    "This mechanism is not offered; CAPA lists those that are.": (
        "Este mecanismo no se ofrece; CAPA nombra los demás."
    ),
    "This mechanism is not possible on this connection.": (
        "Este mecanismo no es posible en esta conexión."
    ),
    "This session no longer holds the maildrop, and removed nothing; log in again.": (
        "Esta sesión ya no tiene el buzón y no ha eliminado nada; identifíquese de nuevo."
    ),
    "The server is stopping, try again later.": (
        "El servidor se está deteniendo, inténtelo más tarde."
    ),
    "Too many connections, try again later.": "Demasiadas conexiones, inténtelo más tarde.",
    "Too many logins of this account from your address, try again later.": (
        "Demasiados accesos a esta cuenta desde su dirección, inténtelo más tarde."
    ),
    "Too many sessions of this account, try again later.": (
        "Demasiadas sesiones de esta cuenta, inténtelo más tarde."
    ),
    "UTF-8 it is.": "Sea UTF-8.",
    "Unknown command.": "Orden desconocida.",
    "Write it as: {usage}": "Escríbalo así: {usage}",
    "You are logged in already.": "La sesión ya está iniciada.",
    "You may log in once in {seconds} seconds.": (
        "Se puede entrar una vez cada {seconds} segundos."
    ),
    "{count} messages:": "{count} mensajes:",
    "{octets} octets": "{octets} octetos",
}
