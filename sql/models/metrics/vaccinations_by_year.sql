with event as (
    select * from marts.patient_timeline where event_type = 'drug' and vocabulary_id = 'CVX'
),

observed as (
    select
        calendar_year,
        count(distinct person_id) as population_count
    from marts.patient_year
    group by calendar_year
),

counted as (
    select
        cast(extract(year from event_date) as integer) as calendar_year,
        concept_id as vaccine_concept_id,
        concept_name as vaccine_name,
        count(*) as dose_count,
        count(distinct person_id) as patient_count
    from event
    group by cast(extract(year from event_date) as integer), concept_id, concept_name
),

final as (
    select
        counted.calendar_year,
        counted.vaccine_concept_id,
        counted.vaccine_name,
        counted.dose_count,
        counted.patient_count,
        observed.population_count,
        cast(counted.patient_count as double) / observed.population_count as patient_share
    from counted
    inner join observed on counted.calendar_year = observed.calendar_year
)

select * from final
