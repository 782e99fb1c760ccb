"""The columns of POI reports: English name, unit and German name, as DWD writes them."""

from __future__ import annotations

COLUMNS = (
    ("cloud_cover_total", "%", "Wolkenbedeckung"),
    ("daily_mean_of_temperature_previous_day", "Grad C", "mittlere Temperatur (vergangener Tag, 2m)"),
    ("depth_of_new_snow", "cm", "Neuschneehoehe"),
    ("dew_point_temperature_at_2_meter_above_ground", "Grad C", "Taupunkttemperatur (2m)"),
    ("diffuse_solar_radiation_last_hour", "W/m2", "Diffuse Strahlung (letzte Stunde)"),
    ("direct_solar_radiation_last_24_hours", "W/m2", "Direkte Strahlung (vergangene 24 Stunden)"),
    ("direct_solar_radiation_last_hour", "W/m2", "Direkte Strahlung (letzte Stunde)"),
    ("dry_bulb_temperature_at_2_meter_above_ground", "Grad C", "Temperatur (2m)"),
    ("evaporation/evapotranspiration_last_24_hours", "mm", "Evaporation (vergangene 24 Stunden)"),
    ("global_radiation_last_hour", "W/m2", "Globalstrahlung (letzte Stunde)"),
    ("global_radiation_past_24_hours", "W/m2", "Globalstrahlung (vergangene 24 Stunden)"),
    ("height_of_base_of_lowest_cloud_above_station", "m", "Wolkenuntergrenze"),
    ("horizontal_visibility", "km", "Sichtweite"),
    ("maximum_of_10_minutes_mean_of_wind_speed_for_previous_day", "km/h", "Maximalwind (vergangener Tag)"),
    ("maximum_of_temperature_for_previous_day", "Grad C", "Maximumtemperatur (vergangener Tag, 2m)"),
    (
        "maximum_temperature_last_12_hours_2_meters_above_ground",
        "Grad C",
        "Maximumtemperatur (letzte 12 Stunden, 2m)",
    ),
    ("maximum_wind_speed_as_10_minutes_mean_during_last_hour", "km/h", "Maximalwind (letzte Stunde)"),
    ("maximum_wind_speed_during_last_6_hours", "km/h", "Windboen (letzte 6 Stunden)"),
    ("maximum_wind_speed_for_previous_day", "km/h", "Windboen (vergangener Tag)"),
    ("maximum_wind_speed_last_hour", "km/h", "Windboen (letzte Stunde)"),
    ("mean_wind_direction_during_last_10 min_at_10_meters_above_ground", "Grad", "Windrichtung"),
    ("mean_wind_speed_during last_10_min_at_10_meters_above_ground", "km/h", "Windgeschwindigkeit"),
    (
        "minimum_of_temperature_at_5_cm_above_ground_for_previous_day",
        "Grad C",
        "Minimumtemperatur (vergangener Tag, 5cm)",
    ),
    ("minimum_of_temperature_for_previous_day", "Grad C", "Minimumtemperatur (vergangener Tag, 2m)"),
    (
        "minimum_temperature_last_12_hours_2_meters_above_ground",
        "Grad C",
        "Minimumtemperatur (letzte 12 Stunden, 2m)",
    ),
    (
        "minimum_temperature_last_12_hours_5_cm_above_ground",
        "Grad C",
        "Minimumtemperatur (letzte 12 Stunden, 5cm)",
    ),
    ("past_weather_1", "CODE_TABLE", "vergangenes Wetter 1"),
    ("past_weather_2", "CODE_TABLE", "vergangenes Wetter 2"),
    ("precipitation_amount_last_24_hours", "mm", "Niederschlag (letzte 24 Stunden)"),
    ("precipitation_amount_last_3_hours", "mm", "Niederschlag (letzte 3 Stunden)"),
    ("precipitation_amount_last_6_hours", "mm", "Niederschlag (letzte 6 Stunden)"),
    ("precipitation_amount_last_hour", "mm", "Niederschlag (letzte Stunde)"),
    ("precipitation_last_12_hours", "mm", "Niederschlag (letzte 12 Stunden)"),
    ("present_weather", "CODE_TABLE", "aktuelles Wetter"),
    ("pressure_reduced_to_mean_sea_level", "hPa", "Druck (auf Meereshoehe)"),
    ("relative_humidity", "%", "Relative Feuchte"),
    ("sea/water_temperature", "Grad C", "Wassertemperatur"),
    ("temperature_at_5_cm_above_ground", "Grad C", "Temperatur (5cm)"),
    ("total_snow_depth", "cm", "Schneehoehe"),
    ("total_time_of_sunshine_during_last_hour", "min", "Sonnenscheindauer (letzte Stunde)"),
    ("total_time_of_sunshine_past_day", "h", "Sonnenscheindauer (vergangener Tag)"),
)
"""All columns after date and time, in their order."""

NEW_COLUMN = ("global_radiation_last_10_minutes", "W/m2", "Globalstrahlung (letzte 10 Minuten)")
"""A column that DWD's files do not have."""
